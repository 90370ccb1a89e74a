"""Writes the columns of a chunk into a table, by upsert on its key.

What happens to a row is what would happen if the rows were written one by one in the file's order:
inserted, updated (the table had the key with other values) or unchanged. SQLite gets statements of
many rows, so that Python is called seldom and other threads go on. PostgreSQL gets ``COPY``: into
the table itself as long as all rows are likely to be new, else into a temporary table.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, compress, islice
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.imports import Written

SQLITE_VALUES: Final = 32_766
"""Most values that SQLite binds in one statement."""
SQLITE_ROWS: Final = 1000
UNIQUE_VIOLATION: Final = "23505"
"""PostgreSQL's code."""

Columns = Mapping[str, Sequence[Any]]

ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
SPECIAL: Final = frozenset("\\\t\n\r")


async def upsert(
    connection: AsyncConnection,
    table: Table,
    key: str,
    columns: Columns,
    *,
    likely_new: bool = False,
) -> Written:
    """Write ``columns`` into ``table`` and return what that changed.

    With ``likely_new`` it is first tried as if no key were there; a wrong guess costs time only.
    """
    count = len(columns[key])
    if not count:
        return Written()
    if connection.dialect.name == "sqlite":
        return await _upsert_sqlite(connection, table.name, key, columns)
    first, again = split_repeats(columns, key)
    text = await asyncio.to_thread(copy_text, first)
    if likely_new and not again[key] and await _insert_all(connection, table.name, columns, text):
        return Written(inserted=count)
    inserted, updated = await _merge(connection, table.name, key, tuple(columns), text)
    if again[key]:
        updated += await _update_one_by_one(connection, table.name, key, again)
    return Written(inserted=inserted, updated=updated, unchanged=count - inserted - updated)


async def _upsert_sqlite(
    connection: AsyncConnection, table: str, key: str, columns: Columns
) -> Written:
    names = tuple(columns)
    count = len(columns[key])
    insert = inserting(table, names, key)
    inserted = await _execute_many(connection, insert, "", columns)
    if inserted == count:
        return Written(inserted=inserted)
    updated = await _execute_many(
        connection, insert, updating(table, names, key, "IS NOT"), columns
    )
    return Written(inserted=inserted, updated=updated, unchanged=count - inserted - updated)


async def _execute_many(
    connection: AsyncConnection, insert: str, on_conflict: str, columns: Columns
) -> int:
    """Insert all rows and return how many were written."""
    width = len(columns)
    at_once = min(SQLITE_ROWS, SQLITE_VALUES // width)
    rows = zip(*columns.values(), strict=True)
    written = 0
    while batch := list(islice(rows, at_once)):
        statement = values_statement(insert, on_conflict or "DO NOTHING", width, len(batch))
        values = tuple(chain.from_iterable(batch))
        written += (await connection.exec_driver_sql(statement, values)).rowcount
    return written


async def _insert_all(
    connection: AsyncConnection, table: str, columns: Columns, text: bytes
) -> bool:
    """Insert rows whose keys are all new; False, with nothing changed, if one isn't."""
    listed = ", ".join(map(quoted, columns))
    trial = await connection.begin_nested()
    try:
        await _copy(connection, f"COPY {quoted(table)} ({listed}) FROM STDIN", text)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        await trial.rollback()
        return False
    await trial.commit()
    return True


async def _merge(
    connection: AsyncConnection, table: str, key: str, names: Sequence[str], text: bytes
) -> tuple[int, int]:
    """Insert or update rows of which each has another key; returns how many of either."""
    listed = ", ".join(map(quoted, names))
    await connection.exec_driver_sql(
        f"CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {listed} FROM {quoted(table)} "  # noqa: S608 - names of our own tables
        "WITH NO DATA"
    )
    await _copy(connection, f"COPY incoming ({listed}) FROM STDIN", text)
    on_conflict = updating(table, names, key, "IS DISTINCT FROM")
    written = await connection.exec_driver_sql(
        f"WITH written AS (INSERT INTO {quoted(table)} ({listed}) SELECT {listed} FROM incoming "  # noqa: S608 - names of our own tables
        f"ORDER BY {quoted(key)} ON CONFLICT ({quoted(key)}) {on_conflict} "
        "RETURNING xmax = 0 AS inserted) "
        "SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written"
    )
    inserted, updated = (int(count) for count in written.one())
    await connection.exec_driver_sql("DROP TABLE incoming")
    return inserted, updated


async def _update_one_by_one(
    connection: AsyncConnection, table: str, key: str, columns: Columns
) -> int:
    """Write rows whose keys are there, in order; returns how many changed something."""
    names = tuple(columns)
    on_conflict = updating(table, names, key, "IS DISTINCT FROM")
    statement = values_statement(inserting(table, names, key), on_conflict, len(names), 1, "%s")
    rows = list(zip(*columns.values(), strict=True))
    return (await connection.exec_driver_sql(statement, rows)).rowcount


async def _copy(connection: AsyncConnection, statement: str, data: bytes) -> None:
    import psycopg  # 8 MiB, for PostgreSQL alone

    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    try:
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(data)
    except psycopg.Error as error:  # as the library would have it, for the engine to translate
        raise DBAPIError("COPY", None, error) from None


def split_repeats(columns: Columns, key: str) -> tuple[Columns, Columns]:
    """Return the first row of each key, and the rows that repeat one, both in order.

    PostgreSQL refuses to touch one row twice in a statement.
    """
    keys = columns[key]
    if len(set(keys)) == len(keys):
        return columns, {name: [] for name in columns}
    seen: set[Any] = set()
    new = [not (value in seen or seen.add(value)) for value in keys]  # type: ignore[func-returns-value]  # add's None is the point
    old = [not first for first in new]
    return (
        {name: list(compress(column, new)) for name, column in columns.items()},
        {name: list(compress(column, old)) for name, column in columns.items()},
    )


def copy_text(columns: Columns) -> bytes:
    r"""Return rows in PostgreSQL's text format: tabs between, ``\N`` for none."""
    spelled = [list(_spelled(column)) for column in columns.values()]
    lines = map("\t".join, zip(*spelled, strict=True))
    return ("\n".join(lines) + "\n").encode()


def _spelled(column: Sequence[Any]) -> Iterator[str]:
    kinds = set(map(type, column))
    if kinds == {str}:
        plain = SPECIAL.isdisjoint("".join(column))
        return iter(column) if plain else (text.translate(ESCAPES) for text in column)
    if kinds == {int}:
        return map(str, column)
    return map(_spelled_alone, column)


def _spelled_alone(value: Any) -> str:
    return "\\N" if value is None else str(value).translate(ESCAPES)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier; only names of our own tables come here."""
    return '"' + name.replace('"', '""') + '"'


def inserting(table: str, names: Sequence[str], key: str) -> str:
    """Return an insert up to its values, and what it does on conflict after a mark."""
    listed = ", ".join(map(quoted, names))
    return f"INSERT INTO {quoted(table)} ({listed}) VALUES {{}} ON CONFLICT ({quoted(key)}) "  # noqa: S608 - names of our own tables


def updating(table: str, names: Sequence[str], key: str, differs: str) -> str:
    """Return what an insert does with a row whose key is there: update it if it differs."""
    others = [quoted(name) for name in names if name != key]
    if not others:
        return "DO NOTHING"
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    tests = " OR ".join(f"{quoted(table)}.{name} {differs} excluded.{name}" for name in others)
    return f"DO UPDATE SET {changes} WHERE {tests}"


@lru_cache(maxsize=64)
def values_statement(insert: str, on_conflict: str, width: int, rows: int, mark: str = "?") -> str:
    """Return an insert of ``rows`` rows at once."""
    row = "(" + ", ".join([mark] * width) + ")"
    return insert.format(", ".join([row] * rows)) + on_conflict

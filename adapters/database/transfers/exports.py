"""The rows of exports, all of one snapshot, and the ledger of their parts.

PostgreSQL writes CSV itself, by ``COPY``: values are spelled in SQL exactly as
``adapters.transfers.spelling`` spells them in Python for SQLite.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.shop import customers, orders, products
from adapters.database.transfers.tables import export_parts
from jobs.currencies import DIGITS, USUAL_DIGITS
from jobs.exports import QUERIES, Column, ExportData, Kind, Page, Part, Query, Stretch
from jobs.exports.queries import CustomerParameters, OrderParameters, ProductParameters

PAGE_ROWS: Final = 5000

Conditions = list[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a query come from; an amount is in the column ``<name>_minor``."""

    table: Table
    conditions: Callable[[Any], Conditions]

    def column(self, column: Column) -> ColumnElement[Any]:
        """Return the stored column."""
        name = f"{column.name}_minor" if column.kind is Kind.AMOUNT else column.name
        return self.table.c[name].label(column.name)


def _customers(parameters: CustomerParameters) -> Conditions:
    return [customers.c.country == parameters.country] if parameters.country else []


def _products(parameters: ProductParameters) -> Conditions:
    return [products.c.category == parameters.category] if parameters.category else []


def _orders(parameters: OrderParameters) -> Conditions:
    same = {
        name: value
        for name in ("status", "country", "currency")
        if (value := getattr(parameters, name)) is not None
    }
    conditions = [orders.c[name] == value for name, value in same.items()]
    if parameters.start is not None:
        conditions.append(orders.c.ordered_at >= to_micros(parameters.start))
    if parameters.end is not None:
        conditions.append(orders.c.ordered_at < to_micros(parameters.end))
    return conditions


SOURCES: Final[Mapping[str, Source]] = {
    "customers": Source(customers, _customers),
    "orders": Source(orders, _orders),
    "products": Source(products, _products),
}
"""The source of each query."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one export, at one moment."""

    connection: AsyncConnection
    query: Query
    source: Source
    conditions: Sequence[ColumnElement[bool]]

    @property
    def writes_csv(self) -> bool:
        """Whether ``csv`` can be used."""
        return self.connection.dialect.name == "postgresql"

    async def count(self, after: str | None = None) -> int:
        """Return how many rows there are after a key."""
        counted = select(func.count()).select_from(self.source.table)
        return int((await self.connection.execute(self._between(counted, after))).scalar_one())

    async def stretch(self, after: str | None, rows: int) -> Stretch | None:
        """Return the next rows after a key, ``rows`` at most, None if there are no more."""
        key = self._key
        some = self._between(select(key.label("key")), after).order_by(key).limit(rows).subquery()
        found = select(func.max(some.c.key), func.count())
        last, count = (await self.connection.execute(found)).one()
        return Stretch(after=after, last=last, rows=count) if count else None

    async def pages(self, stretch: Stretch) -> AsyncGenerator[Page]:
        """Yield the rows of a stretch in order."""
        columns = [self.source.column(column) for column in self.query.columns]
        names = [column.name for column in self.query.columns]
        rows = self._between(select(*columns), stretch.after, stretch.last).order_by(self._key)
        options = rows.execution_options(yield_per=PAGE_ROWS)
        async with self.connection.stream(options) as result:
            async for page in result.partitions(PAGE_ROWS):
                yield Page(
                    columns=dict(zip(names, zip(*page, strict=True), strict=True)), rows=len(page)
                )

    async def csv(self, stretch: Stretch, *, guard: bool) -> AsyncGenerator[bytes]:
        """Yield the rows of a stretch in order, as lines of CSV written by the database."""
        from adapters.database.transfers.copying import copied  # brings PostgreSQL's driver

        spelled = ", ".join(self._spelled(column, guard=guard) for column in self.query.columns)
        where = self._between(select(self._key), stretch.after, stretch.last).order_by(self._key)
        compiled = str(
            where.compile(dialect=self.connection.dialect, compile_kwargs={"literal_binds": True})
        )
        tail = compiled[compiled.index("\nFROM ") :]
        await self.connection.execute(text("SET LOCAL datestyle = 'ISO'"))
        statement = f"COPY (SELECT {spelled} {tail}) TO STDOUT (FORMAT csv)"
        async for block in copied(self.connection, statement):
            yield block

    @property
    def _key(self) -> ColumnElement[Any]:
        return self.source.table.c[self.query.key]

    def _between(
        self, query: Select[Any], after: str | None, last: str | None = None
    ) -> Select[Any]:
        query = query.where(*self.conditions)
        if after is not None:
            query = query.where(self._key > after)
        if last is not None:
            query = query.where(self._key <= last)
        return query

    def _spelled(self, column: Column, *, guard: bool) -> str:
        stored = self.source.column(column)
        name = f'"{self.source.table.name}"."{getattr(stored, "element", stored).name}"'
        match column.kind:
            case Kind.TEXT if guard:
                # 39, 61, 43, 45, 64, 9, 13: ' = + - @ tab return; the pattern only for these
                risky = f"ascii({name}) IN (39, 61, 43, 45, 64, 9, 13) AND {name} ~ {RISKY}"
                return f"CASE WHEN {risky} THEN '''' || {name} ELSE {name} END"
            case Kind.INSTANT:
                instant = f"to_timestamp({name} / 1e6::float8) AT TIME ZONE 'UTC'"
                return f"replace(({instant})::text, ' ', 'T') || 'Z'"
            case Kind.AMOUNT:
                return _amount(name, f'"{self.source.table.name}"."{column.currency}"')
            case _:
                return name


RISKY: Final = r"'^''*[=+\-@\t\r]'"


def _amount(name: str, currency: str) -> str:
    unusual = []
    for digits in sorted(set(DIGITS.values())):
        codes = ", ".join(f"'{code}'" for code, count in DIGITS.items() if count == digits)
        unusual.append(f"WHEN {currency} IN ({codes}) THEN {name} * {_unit(digits)}")
    return f"CASE {' '.join(unusual)} ELSE {name} * {_unit(USUAL_DIGITS)} END"


def _unit(digits: int) -> str:
    return f"0.{'1'.rjust(digits, '0')}" if digits else "1::numeric"


@dataclass(frozen=True, slots=True)
class Exports:
    """Exports from the application database."""

    database: Database

    @asynccontextmanager
    async def snapshot(self, job: ExportData) -> AsyncIterator[Snapshot]:
        """Open the rows of ``job`` as they are at this moment."""
        query, source = QUERIES[job.query], SOURCES[job.query]
        parameters = query.parameters.model_validate(job.parameters)
        async with self.database.snapshot() as connection:
            yield Snapshot(connection, query, source, source.conditions(parameters))

    async def parts(self, export_id: str) -> Sequence[Part]:
        """Return the finished parts of an export, in order."""
        found = (
            select(export_parts)
            .where(export_parts.c.export_id == export_id)
            .order_by(export_parts.c.part)
        )
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(found)).all()
        return [
            Part(
                number=row.part,
                key=row.key,
                rows=row.rows,
                bytes=row.bytes,
                sha256=row.sha256,
                attempt=row.attempt,
                last=row.last,
            )
            for row in rows
        ]

    async def add_part(self, export_id: str, part: Part) -> bool:
        """Write down a finished part; False if another attempt has written one of its number."""
        row = {
            "export_id": export_id,
            "part": part.number,
            "key": part.key,
            "rows": part.rows,
            "bytes": part.bytes,
            "sha256": part.sha256,
            "attempt": part.attempt,
            "last": part.last,
        }
        added = self.database.insert(export_parts).values(row).on_conflict_do_nothing()
        async with self.database.begin() as connection:
            return (await connection.execute(added)).rowcount == 1

    async def size(self, export_id: str) -> int:
        """Return how many rows ``forget`` would delete."""
        counted = select(func.count()).where(export_parts.c.export_id == export_id)
        async with self.database.snapshot() as connection:
            return int((await connection.execute(counted)).scalar_one())

    async def forget(self, export_id: str) -> None:
        """Delete the ledger of an export; missing is fine."""
        async with self.database.begin() as connection:
            await connection.execute(
                export_parts.delete().where(export_parts.c.export_id == export_id)
            )

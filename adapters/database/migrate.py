"""Brings a database up to date, by the migrations in ``migrations/``.

All pending migrations are one transaction. Two processes may migrate at once: the second waits for
the first and finds nothing left to do. Alembic, 8 MiB with what it brings, is imported only where
there is something to do: what a database lacks follows from the files' names.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import open_engine, parse_url, translated

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"
LOCK: Final = 0x636F6E766579
"""PostgreSQL's advisory lock of a migrating process."""

alembic_globals: Final = asyncio.Lock()
"""Alembic keeps the migration under way in module globals: one at a time per process."""

alembic_version: Final = table("alembic_version", column("version_num"))
"""Where Alembic keeps how far a database is."""


class MigrationError(Exception):
    """The database can't be migrated; the message says why and what to do."""


async def migrate(url: str, revision: str = "head") -> None:
    """Apply the migrations up to ``revision``, all of them or none; repeating it changes nothing.

    Raises:
        MigrationError: the database is newer than this program, or would be left inconsistent.
        DatabaseUnavailable: the database is away, locked or full (``DatabaseFull``).
    """
    if revision == "head" and await _current(url) == _names()[-1]:
        return
    async with alembic_globals, _alone(url) as connection:
        await connection.run_sync(_upgrade, revision)
        if connection.dialect.name == "sqlite":
            await _check_references(connection)


async def pending(url: str) -> list[str]:
    """Return the names of the migrations that ``migrate`` would apply, first to last."""
    everything, current = _names(), await _current(url)
    if current is None:
        return everything
    if current not in everything:
        return []
    return everything[everything.index(current) + 1 :]


def _names() -> list[str]:
    """Return the migrations in their order; each is named as its file."""
    return sorted(path.stem for path in (MIGRATIONS / "versions").glob("*.py"))


async def _current(url: str) -> str | None:
    """Return the last migration that was applied; a file that isn't there is not made."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():  # noqa: ASYNC240 - one stat
        return None
    engine = open_engine(url, pool_size=1, writes=False)
    try:
        with translated():
            async with engine.connect() as connection:
                return await connection.run_sync(_last_applied)
    finally:
        await engine.dispose()


def _last_applied(connection: Connection) -> str | None:
    if not inspect(connection).has_table(alembic_version.name):
        return None
    return connection.scalar(select(alembic_version.c.version_num))


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[AsyncConnection]:
    # SQLite's own enforcement must be off while tables are copied, or dropping the old copy
    # would delete what refers to it; _check_references makes up for it.
    engine = open_engine(url, pool_size=1, enforce_references=False)
    try:
        with translated():
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    lock = text("SELECT pg_advisory_xact_lock(:lock)")
                    await connection.execute(lock, {"lock": LOCK})
                yield connection
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    current = _last_applied(connection)
    if current is not None and current not in _names():
        msg = (
            f"the database is at migration {current}, which this version doesn't know: "
            "a newer version has migrated it; run that one"
        )
        raise MigrationError(msg)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def _check_references(connection: AsyncConnection) -> None:
    check = text('SELECT "table", parent FROM pragma_foreign_key_check')
    for child, parent in await connection.execute(check):
        msg = f"the migrations would leave rows of {child} without their rows of {parent}"
        raise MigrationError(msg)

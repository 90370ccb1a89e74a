"""Brings a database up to date, by the migrations in ``migrations/``.

All pending migrations are one transaction. Two processes may migrate at once: the second waits for
the first and finds nothing left to do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import open_engine, parse_url, translated

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"
LOCK: Final = 0x636F6E766579
"""PostgreSQL's advisory lock of a migrating process."""

alembic_globals: Final = asyncio.Lock()
"""Alembic keeps the migration under way in module globals: one at a time per process."""


class MigrationError(Exception):
    """The database can't be migrated; the message says why and what to do."""


async def migrate(url: str, revision: str = "head") -> None:
    """Apply the migrations up to ``revision``, all of them or none; repeating it changes nothing.

    Raises:
        MigrationError: the database is newer than this program, or would be left inconsistent.
        DatabaseUnavailable: the database is away, locked or full (``DatabaseFull``).
    """
    async with alembic_globals, _alone(url) as connection:
        await connection.run_sync(_upgrade, revision)
        if connection.dialect.name == "sqlite":
            await _check_references(connection)


async def pending(url: str) -> list[str]:
    """Return the names of the migrations that ``migrate`` would apply, first to last."""
    parsed = parse_url(url)
    everything = [script.revision for script in reversed([*_scripts().walk_revisions()])]
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():  # noqa: ASYNC240 - one stat
        return everything
    engine = open_engine(url, pool_size=1, writes=False)
    try:
        with translated():
            async with engine.connect() as connection:
                current = await connection.run_sync(_current)
    finally:
        await engine.dispose()
    if current is None:
        return everything
    if current not in everything:
        return []
    return everything[everything.index(current) + 1 :]


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
    config = _config()
    current = _current(connection)
    if current is not None and current not in {s.revision for s in _scripts().walk_revisions()}:
        msg = (
            f"the database is at migration {current}, which this version doesn't know: "
            "a newer version has migrated it; run that one"
        )
        raise MigrationError(msg)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def _check_references(connection: AsyncConnection) -> None:
    check = text('SELECT "table", parent FROM pragma_foreign_key_check')
    for table, parent in await connection.execute(check):
        msg = f"the migrations would leave rows of {table} without their rows of {parent}"
        raise MigrationError(msg)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

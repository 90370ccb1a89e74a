"""The connections of the application database, for SQLite and PostgreSQL behind one API.

SQLite: WAL, one writing connection (writers wait for it in order instead of polling the file's
lock), every write transaction begun with ``BEGIN IMMEDIATE``, ``synchronous=FULL`` because ledgers
of effects live here and must survive a power cut. PostgreSQL: a pool; a transaction whose worker
is frozen is ended by the server, so that it can't hold its rows for ever.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final, Literal

from sqlalchemy import Table, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from adapters.database import sqlite as sqlite_driver
from jobs.errors import DatabaseFull, DatabaseOutdated, DatabaseRefused, DatabaseUnavailable

Dialect = Literal["sqlite", "postgresql"]
Insert = sqlite.Insert | postgresql.Insert
Patience = Callable[[float], AbstractContextManager[object]]
"""Entered around each transaction but snapshots, with how many seconds it may stand still."""

WAIT_S: Final = 30
"""Longest wait for a connection of the pool, or for another's lock."""
STANDSTILL_S: Final = 2 * WAIT_S + 15
"""So long a transaction may stand still: for a connection, then for a lock, then for the disk."""
CONNECT_S: Final = 5
IDLE_S: Final = 60
"""After this long without a statement PostgreSQL ends a transaction and frees its locks."""


SNAPSHOT_IDLE_S: Final = 15 * 60
"""The same for a snapshot, which holds no locks and may wait for an upload between its rows."""
LARGEST_IDLE_WAL_BYTES: Final = 64 * 1024 * 1024

logger: Final = logging.getLogger(__name__)

BULK_PRAGMAS: Final = ("cache_size=-32768", "wal_autocheckpoint=10000")
"""Imports halve their time with room for an index's pages, and fewer copies of them to the file."""

WITHOUT_BEGIN: Final = "conveyor_without_begin"
"""Execution option: SQLite runs the one statement by itself."""

SQLITE_AWAY: Final = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL",
    "SQLITE_NOMEM",
    "SQLITE_INTERRUPT",
)
POSTGRESQL_AWAY: Final = (
    "08",  # connection
    "25P03",  # idle in transaction too long
    "25006",  # read-only: a failover is under way
    "40",  # serialization, deadlock
    "53",  # out of memory, connections
    "55P03",  # lock not available
    "57",  # cancelled, shutting down, starting up
    "OperationalError",  # the driver's own: no server has answered
)
FULL: Final = {"SQLITE_FULL", "53100"}
"""SQLite's code and PostgreSQL's."""
SQLITE_UNDEFINED: Final = ("no such table", "no such column")
POSTGRESQL_UNDEFINED: Final = ("42P01", "42703")


class Database:
    """The open application database."""

    def __init__(
        self, dialect: Dialect, writer: AsyncEngine, reader: AsyncEngine, patience: Patience
    ) -> None:
        self.dialect: Dialect = dialect
        self._patience = patience
        self._writer = writer
        self._reader = reader
        at_once: dict[str, Any] = (
            {WITHOUT_BEGIN: True} if dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        )
        self._single_reader = reader.execution_options(**at_once)
        self._single_writer = writer.execution_options(**at_once)

    @classmethod
    def open(cls, url: str, *, pool_size: int = 5, patience: Patience = nullcontext) -> "Database":
        """Open the database at ``url``; connections are made when they are first needed.

        Args:
            url: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or
                ``postgresql://user:password@host/name``.
            pool_size: Most connections that this process holds open (SQLite: for reading).
            patience: What is done while a transaction waits, such as saying that it does.

        Raises:
            ValueError: ``url`` is neither; the message doesn't quote it.
        """
        if parse_url(url).get_backend_name() == "sqlite":
            reader = open_engine(url, pool_size=pool_size, writes=False)
            return cls("sqlite", open_engine(url, pool_size=1), reader, patience)
        engine = open_engine(url, pool_size=pool_size)
        snapshots = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

        @event.listens_for(snapshots.sync_engine, "begin")
        def be_patient(connection: Connection) -> None:
            connection.exec_driver_sql(
                f"SET LOCAL idle_in_transaction_session_timeout = '{SNAPSHOT_IDLE_S}s'"
            )

        return cls("postgresql", engine, snapshots, patience)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Run the body in a write transaction, committed at its end; keep it short.

        Raises:
            DatabaseUnavailable: the database is away, locked or full (``DatabaseFull``).
            DatabaseOutdated: a table or column is missing.
            DatabaseRefused: a statement can't succeed on this data.
        """
        with translated(), self._patience(STANDSTILL_S):
            async with self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Run the body in a read-only transaction that sees one state of the database.

        Raises:
            DatabaseUnavailable: the database is away.
            DatabaseOutdated: a table or column is missing.
            DatabaseRefused: the body tried to write.
        """
        with translated():
            async with self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Run a body of one statement that reads: no transaction, a third of a snapshot's cost.

        Raises:
            DatabaseUnavailable: the database is away.
            DatabaseOutdated: a table or column is missing.
        """
        with translated(), self._patience(STANDSTILL_S):
            async with self._single_reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Run a body of one statement that writes, committed with it; half the cost of ``begin``.

        A statement whose task is cancelled may take effect all the same.

        Raises:
            DatabaseUnavailable: the database is away, locked or full (``DatabaseFull``).
            DatabaseOutdated: a table or column is missing.
            DatabaseRefused: the statement can't succeed on this data.
        """
        with translated(), self._patience(STANDSTILL_S):
            async with self._single_writer.connect() as connection:
                yield connection

    def insert(self, table: Table) -> Insert:
        """Return an insert that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    async def check(self) -> None:
        """Begin a transaction and end it; raises as ``begin`` does."""
        async with self.begin() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()


def parse_url(url: str) -> URL:
    """Return ``url`` with its driver; raise ``ValueError`` with the fix if it is no such URL."""
    fix = "write sqlite:///path or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        msg = f"the database URL can't be read: {fix}"
        raise ValueError(msg) from None
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                msg = f"the database URL names no file, and nothing else would be kept: {fix}"
                raise ValueError(msg)
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            msg = f"the database URL begins with {other!r}: {fix}"
            raise ValueError(msg)


def open_engine(
    url: str, *, pool_size: int, writes: bool = True, enforce_references: bool = True
) -> AsyncEngine:
    """Return an engine with our settings; the last two arguments matter to SQLite only."""
    parsed = parse_url(url)
    common: dict[str, Any] = {
        "hide_parameters": True,  # they are personal data, and errors reach histories and logs
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": WAIT_S,
        "execution_options": {"preserve_rowcount": True},  # PostgreSQL's inserts would tell -1
    }
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed, common)
    return _sqlite(parsed, common, writes=writes, enforce_references=enforce_references)


def _sqlite(
    url: URL, common: dict[str, Any], *, writes: bool, enforce_references: bool
) -> AsyncEngine:
    connect_args = {
        "async_creator_fn": sqlite_driver.connect,
        "isolation_level": None,  # BEGIN and COMMIT are ours, not the driver's
        "timeout": WAIT_S,
        "pragmas": (
            "synchronous=FULL",
            f"journal_size_limit={LARGEST_IDLE_WAL_BYTES}",
            f"foreign_keys={'ON' if enforce_references else 'OFF'}",
            f"query_only={'OFF' if writes else 'ON'}",
            *(BULK_PRAGMAS if writes else ()),
        ),
    }
    engine = create_async_engine(url, connect_args=connect_args, **common)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        if WITHOUT_BEGIN in connection.get_execution_options():
            return
        driver: Any = connection.connection.driver_connection
        driver.begin_with_next(begin)

    return engine


def _postgresql(url: URL, common: dict[str, Any]) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_pre_ping=True,  # connections that a restarted server or a firewall has cut
        connect_args={"connect_timeout": CONNECT_S, "application_name": "conveyor"},
        **common,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(
            f"SET lock_timeout = '{WAIT_S}s'; SET idle_in_transaction_session_timeout = '{IDLE_S}s'"
        )
        cursor.close()
        connection.commit()

    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the library's errors into ours; their texts quote addresses and values, ours don't."""
    try:
        yield
    except PoolTimeoutError:
        msg = f"all connections to the database were busy for {WAIT_S} s"
        raise DatabaseUnavailable(msg) from None
    except DBAPIError as error:
        raise _translate(error) from None


def _translate(error: DBAPIError) -> Exception:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorname", "") or type(cause).__name__
        outdated = str(cause).startswith(SQLITE_UNDEFINED)
        away = code.startswith(SQLITE_AWAY)
        constraint = str(cause) if isinstance(cause, sqlite3.IntegrityError) else ""
    else:
        code = getattr(cause, "sqlstate", "") or type(cause).__name__
        outdated = code in POSTGRESQL_UNDEFINED
        away = error.connection_invalidated or code.startswith(POSTGRESQL_AWAY)
        constraint = getattr(getattr(cause, "diag", None), "constraint_name", None) or ""
    if code in FULL:
        return DatabaseFull(f"the database has no room left ({code}): make some, then release")
    if away:
        return DatabaseUnavailable(f"the database is away or locked ({code})")
    logger.error("statement refused", extra={"code": code, "statement": error.statement})
    if outdated:
        msg = f"a table or column is missing ({code}): apply the migrations, `starter.py setup`"
        return DatabaseOutdated(msg)
    return DatabaseRefused(f"the database refused a statement ({code}) {constraint}".rstrip())

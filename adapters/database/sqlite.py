"""A SQLite connection that crosses to its thread as seldom as can be.

Under asyncio every call of the driver is a hop to the connection's thread and back, which costs
more CPU than a small statement itself. The stock driver hops to make a cursor, to execute, to fetch
and to close; here a statement is one hop, which also begins its transaction if it is the first and
brings the first rows back. So a transaction of one statement is two hops instead of seven.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiosqlite
from typing_extensions import override

ResultT = TypeVar("ResultT")

making: Final = threading.Lock()
"""No connection of this process opens a new file before whoever makes it has closed it."""
FIRST_ROWS: Final = 256
"""Rows that come back with the statement; a larger result is fetched as it is asked for."""


def connect(path: str, *, pragmas: Sequence[str], timeout: float, **options: Any) -> "Connection":
    """Return a connection to the file at ``path``, to be awaited.

    Args:
        path: The file; made, for its owner alone, if it isn't there.
        pragmas: What is set up once connected, ``synchronous=FULL``.
        timeout: Longest wait for another's lock, in seconds.
        options: Further arguments of ``sqlite3.connect``.
    """

    def open_file() -> sqlite3.Connection:
        make_private(Path(path))
        driver: sqlite3.Connection = sqlite3.connect(path, timeout=timeout, **options)
        try:
            _turn_to_wal(driver, timeout)
            for pragma in pragmas:
                driver.execute(f"PRAGMA {pragma}")
        except BaseException:
            driver.close()
            raise
        return driver

    connection = Connection(open_file, iter_chunk_size=FIRST_ROWS)
    connection._thread.daemon = True  # a connection left open must not keep the process
    return connection


def make_private(path: Path) -> None:
    """Make the file at ``path`` and its folder for their owner alone, if they aren't there.

    A file that is there is not opened: closing it would drop every lock that this process holds on
    it by its connections, and another process could delete the write-ahead log under them.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with making, suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
    except OSError as error:
        refused = sqlite3.OperationalError(f"unable to open database file: {error.strerror}")
        refused.sqlite_errorname = "SQLITE_CANTOPEN"
        raise refused from None


def _turn_to_wal(driver: sqlite3.Connection, timeout: float) -> None:
    # SQLite doesn't wait by itself when two connections turn a new file to WAL at once.
    deadline = time.monotonic() + timeout
    while True:
        try:
            driver.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


class Connection(aiosqlite.Connection):
    """One connection and its thread."""

    _begin_by: str | None = None
    _may_be_open = False
    """Whether a transaction may be open; never false while one is, also when its task was cancelled
    and the thread went on."""

    def begin_with_next(self, statement: str) -> None:
        """Begin a transaction by ``statement``, in the same hop as what is executed next."""
        self._begin_by = statement

    @override
    def cursor(self) -> "Cursor":  # type: ignore[override]  # what SQLAlchemy asks of a cursor
        return Cursor(self)

    async def run(self, function: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Call ``function`` in the thread, after beginning the transaction that is due."""
        begin_by, self._begin_by = self._begin_by, None
        if begin_by is not None:
            self._may_be_open = True
        hop = partial(self._hop, begin_by, function)
        result: ResultT = await self._execute(hop)  # type: ignore[no-untyped-call]  # the driver's
        return result

    def _hop(
        self, begin_by: str | None, function: Callable[[sqlite3.Connection], ResultT]
    ) -> ResultT:
        if begin_by is not None:
            try:
                self._conn.execute(begin_by)
            except sqlite3.Error:
                self._begin_by = begin_by  # still due, should the caller go on
                raise
        return function(self._conn)

    @override
    async def commit(self) -> None:
        self._begin_by = None
        if self._may_be_open:
            await super().commit()
            self._may_be_open = False

    @override
    async def rollback(self) -> None:
        self._begin_by = None
        if self._may_be_open:
            await super().rollback()
            self._may_be_open = False


class Cursor:
    """The result of one statement."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute ``sql`` and fetch its first rows."""
        await self._connection.run(lambda driver: self._keep(driver.execute(sql, parameters)))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Execute ``sql`` once for each of ``parameters``."""
        await self._connection.run(lambda driver: self._keep(driver.executemany(sql, parameters)))
        return self

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        if cursor.description is not None:
            self._rows = cursor.fetchmany(FIRST_ROWS)
            if len(self._rows) == FIRST_ROWS:
                self._open = cursor
                return
        cursor.close()

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        rows, self._rows = self._rows, []
        if self._open is not None:
            cursor = self._open
            rows += await self._connection.run(lambda _: cursor.fetchall())
            await self.close()
        return rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return up to ``size`` of the rows that are left."""
        size = size or self.arraysize
        rows, self._rows = self._rows[:size], self._rows[size:]
        if self._open is not None and len(rows) < size:
            cursor, missing = self._open, size - len(rows)
            rows += await self._connection.run(lambda _: cursor.fetchmany(missing))
        return rows

    async def fetchone(self) -> Any:
        """Return the next row, or None."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Let go of what was not fetched."""
        open_cursor, self._open = self._open, None
        if open_cursor is not None:
            with suppress(ValueError, sqlite3.ProgrammingError):  # its connection was closed first
                await self._connection.run(lambda _: open_cursor.close())

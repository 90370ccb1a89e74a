"""``COPY ... TO STDOUT`` on an open connection, in blocks.

The driver's own iterator yields each row by itself and waits on the event loop for each packet,
which takes longer than the server needs; this one takes all rows that are there, in a thread.
"""

import asyncio
import select
from collections.abc import AsyncGenerator
from threading import Event
from typing import Any, Final

import psycopg
from psycopg import pq
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

BLOCK_BYTES: Final = 256 * 1024
WAIT_S: Final = 0.2
"""How long a packet is waited for before looking whether the reader is still wanted."""


class AbandonedError(Exception):
    """Nobody wants the rows any more."""


async def copied(connection: AsyncConnection, statement: str) -> AsyncGenerator[bytes]:
    """Yield the rows of ``statement``, many at once."""
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    reader = CopyReader(driver.pgconn)
    try:
        async with driver.lock:
            await _in_thread(reader, reader.begin, statement.encode())
            while not reader.ended:
                if block := await _in_thread(reader, reader.block):
                    yield block
    except psycopg.Error as error:  # as the library would have it, for the engine to translate
        raise DBAPIError("COPY", None, error) from None
    finally:
        if not reader.ended:  # what is left in the pipe is no answer to anything that comes next
            await connection.invalidate()


async def _in_thread(reader: "CopyReader", work: Any, *arguments: Any) -> Any:
    running = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        reader.abandoned.set()
        await asyncio.wait({running})
        running.exception()
        raise


class CopyReader:
    """Reads one ``COPY``; all of it blocks, without keeping other threads."""

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self.ended = False
        self.abandoned = Event()

    def begin(self, statement: bytes) -> None:
        """Send the statement and wait until its rows begin."""
        self._connection.send_query(statement)
        while self._connection.flush():
            self._wait(writing=True)
        result = self._result()
        if result is None or result.status != pq.ExecStatus.COPY_OUT:
            raise psycopg.ProgrammingError("the statement is no COPY TO STDOUT")

    def block(self) -> bytes:
        """Return some rows; the last are those after which ``ended`` is true."""
        rows = bytearray()  # not a list: thousands of live views would set off the collector
        read = self._connection.get_copy_data
        while len(rows) < BLOCK_BYTES:
            length, row = read(1)
            if length > 0:
                rows += row
            elif length == 0:
                self._more()
            else:
                while self._result() is not None:
                    pass
                self.ended = True
                break
        return bytes(rows)

    def _result(self) -> pq.abc.PGresult | None:
        while self._connection.is_busy():
            self._more()
        result = self._connection.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        return result

    def _more(self) -> None:
        self._wait()
        self._connection.consume_input()

    def _wait(self, *, writing: bool = False) -> None:
        sockets = [self._connection.socket]
        while not any(select.select(sockets, sockets if writing else [], [], WAIT_S)):
            if self.abandoned.is_set():
                raise AbandonedError

"""``COPY ... TO STDOUT`` on an open connection, in blocks.

The driver's own iterator yields each row by itself, which takes longer than the server needs for
it; this one takes all rows that have arrived and waits only when there are none.
"""

from collections.abc import AsyncGenerator, Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg import pq, waiting
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

BLOCK_BYTES: Final = 256 * 1024

WaitsT = TypeVar("WaitsT")
Waits = Generator[waiting.Wait, waiting.Ready, WaitsT]


async def copied(connection: AsyncConnection, statement: str) -> AsyncGenerator[bytes]:
    """Yield the rows of ``statement``, many at once."""
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    ended = False
    try:
        async with driver.lock:
            await driver.wait(_begin(driver.pgconn, statement.encode()))
            while not ended:
                block, ended = await driver.wait(_block(driver.pgconn))
                if block:
                    yield block
    except psycopg.Error as error:  # as the library would have it, for the engine to translate
        raise DBAPIError("COPY", None, error) from None
    finally:
        if not ended:  # what is left in the pipe is no answer to anything that comes next
            await connection.invalidate()


def _begin(connection: pq.abc.PGconn, statement: bytes) -> Waits[None]:
    connection.send_query(statement)
    while connection.flush():
        yield waiting.Wait.W
    result = yield from _result(connection)
    if result is None or result.status != pq.ExecStatus.COPY_OUT:
        raise psycopg.ProgrammingError("the statement is no COPY TO STDOUT")


def _block(connection: pq.abc.PGconn) -> Waits[tuple[bytes, bool]]:
    """Return some rows, and whether they are the last."""
    rows: list[memoryview] = []
    size = 0
    while size < BLOCK_BYTES:
        length, row = connection.get_copy_data(1)
        if length > 0:
            rows.append(row)
            size += length
        elif length == 0:
            yield from _more(connection)
        else:
            while (yield from _result(connection)) is not None:
                pass
            return b"".join(rows), True
    return b"".join(rows), False


def _result(connection: pq.abc.PGconn) -> Waits[pq.abc.PGresult | None]:
    while connection.is_busy():
        yield from _more(connection)
    result = connection.get_result()
    if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)
    return result


def _more(connection: pq.abc.PGconn) -> Waits[None]:
    while not (yield waiting.Wait.R):
        pass  # nothing has come within the driver's interval
    connection.consume_input()

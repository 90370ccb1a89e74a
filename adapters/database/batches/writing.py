"""Rows of items that end side by side, in one transaction together.

While one transaction is being committed, what comes in is kept for the next, whichever chunk it is
of. A commit per item would cost more than most items.
"""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from adapters.database.batches.tables import batch_item
from adapters.database.engine import Database, Insert
from adapters.database.metadata import to_micros
from jobs.batches import BatchItem, ItemState

CHANGED: Final = (
    "state",
    "offset",
    "job_id",
    "error_type",
    "error_message",
    "result",
    "updated_at",
)


def upserting(insert: Insert) -> Any:
    """Return the statement that writes an item's row over whatever stands there but its completion.

    A worker that was thought lost may still put off an item that another has completed since.
    """
    put_off = insert.excluded.state == literal_column(f"'{ItemState.WAITING.value}'")
    completed = batch_item.c.state == literal_column(f"'{ItemState.COMPLETED.value}'")
    return insert.on_conflict_do_update(
        index_elements=[batch_item.c.batch, batch_item.c.position],
        set_={name: insert.excluded[name] for name in CHANGED},
        where=~(put_off & completed),
    )


_SQLITE_UPSERT: Final = str(
    upserting(sqlite.insert(batch_item)).compile(dialect=sqlite.dialect(paramstyle="named"))
)

Row = dict[str, Any]


def row_of(batch: str, item: BatchItem, now: int) -> Row:
    """Return an item's row."""
    return {
        "batch": batch,
        "position": item.position,
        "state": item.state.value,
        "offset": item.offset,
        "job_id": item.job_id,
        "error_type": item.error_type,
        "error_message": item.error_message,
        "result": json.dumps(item.result, ensure_ascii=False) if item.result else "",
        "updated_at": now,
    }


def _commit_at_once(rows: Sequence[Row], driver: sqlite3.Connection) -> None:
    """Write and commit in one visit to SQLite's thread: each visit more waits for the loop."""
    driver.executemany(_SQLITE_UPSERT, rows)
    driver.execute("COMMIT")


class ItemWriter:
    """Writes rows; whoever gave one waits until it is durable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._keeper: asyncio.Task[None] | None = None

    async def write(self, batch: str, item: BatchItem) -> None:
        """Return when the row is committed.

        Raises:
            TransientError: the database failed; the row may or may not be there.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        row = row_of(batch, item, to_micros(datetime.now(UTC)))
        self._waiting.append((row, written))
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        await written

    async def _keep(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                await self.commit([row for row, _ in waiting])
            except Exception as error:  # noqa: BLE001 (raised where each row came from)
                for _, written in waiting:
                    if not written.done():
                        written.set_exception(error)
            else:
                for _, written in waiting:
                    if not written.done():
                        written.set_result(None)

    async def commit(self, rows: Sequence[Row]) -> None:
        """Write ``rows`` in one transaction."""
        async with self._database.begin() as connection:
            if self._database.dialect != "sqlite":
                statement = upserting(self._database.insert(batch_item))
                await connection.execute(statement, list(rows))
                return
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            try:
                await driver.run(partial(_commit_at_once, rows))
            except sqlite3.Error as error:
                raise DBAPIError(None, None, error) from None

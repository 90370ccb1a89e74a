"""The ledger of batches: which there are, and a row per item that has begun."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from adapters.database.batches.tables import batch_item, batch_run
from adapters.database.batches.writing import ItemWriter, row_of
from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from jobs.batches import BatchItem, BatchRecord, ItemState


@dataclass(frozen=True, slots=True)
class BatchLedger:
    """Batches in the application database."""

    database: Database
    writer: ItemWriter = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "writer", ItemWriter(self.database))

    async def open(self, key: str, kind: str, fingerprint: str, run_id: str) -> str:
        """Return the name under which a batch's items stand in the ledger.

        A batch that did not come to its end goes on when it is submitted again with the same
        input: what completed stays, and the rest is forgotten, to be done again. One that did come
        to its end, or has another input, begins anew.
        """
        now = to_micros(datetime.now(UTC))
        row = {
            "key": key,
            "generation": 1,
            "fingerprint": fingerprint,
            "kind": kind,
            "updated_at": now,
        }
        insert = self.database.insert(batch_run).values(row).on_conflict_do_nothing()
        async with self.database.begin() as connection:
            await connection.execute(insert)
            known = (
                await connection.execute(select(batch_run).where(batch_run.c.key == key))
            ).one()
            generation: int = known.generation
            finished = known.finished_by is not None and known.finished_by != run_id
            if finished or known.fingerprint != fingerprint:
                await connection.execute(_items_of(key, generation))
                generation += 1
                row |= {"generation": generation, "source": None, "total": None}
                anew = update(batch_run).where(batch_run.c.key == key)
                await connection.execute(anew.values(**row, finished_by=None))
            name = name_of(key, generation)
            unfinished = delete(batch_item).where(
                batch_item.c.batch == name, batch_item.c.state != ItemState.COMPLETED.value
            )
            await connection.execute(unfinished)
        return name

    async def describe(self, batch: str, source: str, total: int) -> None:
        """Record what a batch's list is."""
        await self._update(batch, source=source, total=total)

    async def finish(self, batch: str, run_id: str) -> None:
        """Close a batch: every item has an outcome."""
        await self._update(batch, finished_by=run_id)

    async def _update(self, batch: str, **values: Any) -> None:
        key = batch.rpartition("#")[0]
        now = to_micros(datetime.now(UTC))
        statement = update(batch_run).where(batch_run.c.key == key)
        async with self.database.write() as connection:
            await connection.execute(statement.values(**values, updated_at=now))

    async def find(self, key: str) -> BatchRecord | None:
        """Return what is known of the batch that is a job's."""
        statement = select(batch_run).where(batch_run.c.key == key)
        async with self.database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        return BatchRecord(
            batch=name_of(key, row.generation),
            kind=row.kind,
            source=row.source,
            total=row.total,
            finished=row.finished_by is not None,
        )

    async def write(self, batch: str, item: BatchItem) -> None:
        """Write an item's row, durably, together with others that come in at the same time."""
        await self.writer.write(batch, item)

    async def write_all(self, batch: str, items: Sequence[BatchItem]) -> None:
        """Write the rows of many items."""
        if items:
            now = to_micros(datetime.now(UTC))
            await self.writer.commit([row_of(batch, item, now) for item in items])

    async def settle(self, batch: str, items: Sequence[BatchItem]) -> None:
        """Record what came of items that were jobs; their job ids stay."""
        known = {
            item.position: item
            for item in await self.items(batch, positions=[item.position for item in items])
        }
        await self.write_all(
            batch,
            [
                BatchItem(
                    position=item.position,
                    state=item.state,
                    offset=known[item.position].offset,
                    job_id=known[item.position].job_id,
                    error_type=item.error_type,
                    error_message=item.error_message,
                    result=item.result,
                )
                for item in items
            ],
        )

    async def give_up(self, batch: str) -> None:
        """Call what has no outcome cancelled."""
        without = (ItemState.WAITING.value, ItemState.RUNNING.value)
        statement = update(batch_item).where(
            batch_item.c.batch == batch, batch_item.c.state.in_(without)
        )
        async with self.database.write() as connection:
            await connection.execute(statement.values(state=ItemState.CANCELLED.value))

    async def items(
        self,
        batch: str,
        *,
        positions: Sequence[int] | None = None,
        states: Sequence[ItemState] = (),
        after: int = -1,
        limit: int | None = None,
    ) -> Sequence[BatchItem]:
        """Return rows in the order of the list."""
        wanted = select(batch_item).where(batch_item.c.batch == batch)
        if positions is not None:
            wanted = wanted.where(batch_item.c.position.in_(positions))
        if states:
            wanted = wanted.where(batch_item.c.state.in_([state.value for state in states]))
        wanted = wanted.where(batch_item.c.position > after).order_by(batch_item.c.position)
        async with self.database.read() as connection:
            rows = (await connection.execute(wanted.limit(limit))).all()
        return [_item(row) for row in rows]

    async def stretch(self, batch: str, position: int, count: int) -> Mapping[int, BatchItem]:
        """Return the rows of a stretch of the list, by position."""
        wanted = select(batch_item).where(
            batch_item.c.batch == batch,
            batch_item.c.position >= position,
            batch_item.c.position < position + count,
        )
        async with self.database.read() as connection:
            rows = (await connection.execute(wanted)).all()
        return {row.position: _item(row) for row in rows}

    async def counts(self, batch: str) -> Mapping[ItemState, int]:
        """Return how many items stand where, of those that have a row."""
        wanted = (
            select(batch_item.c.state, func.count())
            .where(batch_item.c.batch == batch)
            .group_by(batch_item.c.state)
        )
        async with self.database.read() as connection:
            rows = (await connection.execute(wanted)).all()
        return {ItemState(state): count for state, count in rows}

    async def size(self, key: str) -> int:
        """Return how many rows ``forget`` would delete."""
        known = await self.find(key)
        return 1 + sum((await self.counts(known.batch)).values()) if known else 0

    async def forget(self, key: str) -> None:
        """Delete what the ledger knows of a job's batch."""
        known = await self.find(key)
        if known is None:
            return
        async with self.database.begin() as connection:
            await connection.execute(delete(batch_item).where(batch_item.c.batch == known.batch))
            await connection.execute(delete(batch_run).where(batch_run.c.key == key))


def name_of(key: str, generation: int) -> str:
    """Return the name of a batch in the ledger."""
    return f"{key}#{generation}"


def _items_of(key: str, generation: int) -> Any:
    return delete(batch_item).where(batch_item.c.batch == name_of(key, generation))


def _item(row: Row[Any]) -> BatchItem:
    return BatchItem(
        position=row.position,
        state=ItemState(row.state),
        offset=row.offset,
        job_id=row.job_id,
        error_type=row.error_type,
        error_message=row.error_message,
        result=json.loads(row.result) if row.result else {},
    )

"""The ledger of batches, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.database import Database
from adapters.database.batches import BatchLedger
from jobs.batches import BatchItem, ItemState


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[BatchLedger]:
    database = Database.open(database_url)
    yield BatchLedger(database)
    await database.close()


def item(position: int, state: ItemState = ItemState.COMPLETED, **more: object) -> BatchItem:
    return BatchItem(position=position, state=state, **more)  # type: ignore[arg-type]  # as given


async def opened(ledger: BatchLedger, key: str, run: str, fingerprint: str = "f") -> str:
    return await ledger.open(key, "email", fingerprint, run)


async def test_items_that_end_side_by_side_are_all_written(
    ledger: BatchLedger, unique: str
) -> None:
    batch = await opened(ledger, unique, "run-1")
    await asyncio.gather(
        *(ledger.write(batch, item(n, result={"to": f"n{n}"})) for n in range(300))
    )
    rows = await ledger.stretch(batch, 100, 50)
    assert sorted(rows) == list(range(100, 150))
    assert rows[120].result == {"to": "n120"}
    assert await ledger.counts(batch) == {ItemState.COMPLETED: 300}


async def test_a_batch_that_did_not_end_goes_on_without_what_did_not_complete(
    ledger: BatchLedger, unique: str
) -> None:
    batch = await opened(ledger, unique, "run-1")
    await ledger.write_all(batch, [item(0), item(1, ItemState.FAILED), item(2, ItemState.RUNNING)])
    assert await opened(ledger, unique, "run-2") == batch
    assert [row.position for row in await ledger.items(batch)] == [0]


@pytest.mark.parametrize("fingerprint", ["f", "another input"])
async def test_a_batch_that_ended_or_has_another_input_begins_anew(
    ledger: BatchLedger, unique: str, fingerprint: str
) -> None:
    batch = await opened(ledger, unique, "run-1")
    await ledger.describe(batch, "list.jsonl", 1)
    await ledger.write(batch, item(0))
    if fingerprint == "f":
        await ledger.finish(batch, "run-1")
    anew = await opened(ledger, unique, "run-2", fingerprint)
    record = await ledger.find(unique)
    assert anew != batch
    assert not await ledger.items(batch)
    assert record is not None
    assert (record.batch, record.source, record.finished) == (anew, None, False)


async def test_what_came_of_a_job_keeps_its_id_and_line(ledger: BatchLedger, unique: str) -> None:
    batch = await opened(ledger, unique, "run-1")
    await ledger.write(batch, item(5, ItemState.WAITING, offset=70, job_id="email-x-5"))
    await ledger.settle(batch, [item(5, ItemState.RUNNING)])
    await ledger.settle(batch, [item(5, ItemState.FAILED, error_type="EmailRefused")])
    (row,) = await ledger.items(batch, states=[ItemState.FAILED])
    assert (row.job_id, row.offset, row.error_type) == ("email-x-5", 70, "EmailRefused")


async def test_what_a_worker_puts_off_that_was_thought_lost_stays_completed(
    ledger: BatchLedger, unique: str
) -> None:
    name = await opened(ledger, unique, "run")
    await ledger.write(name, item(0))
    await ledger.write_all(name, [item(0, ItemState.WAITING), item(1, ItemState.WAITING)])
    states = [found.state for found in await ledger.items(name)]
    assert states == [ItemState.COMPLETED, ItemState.WAITING]


async def test_what_a_cancelled_batch_leaves_is_cancelled(ledger: BatchLedger, unique: str) -> None:
    batch = await opened(ledger, unique, "run-1")
    await ledger.write_all(batch, [item(0), item(1, ItemState.WAITING)])
    await ledger.give_up(batch)
    assert [row.state for row in await ledger.items(batch)] == ["completed", "cancelled"]


async def test_a_forgotten_batch_leaves_no_rows(ledger: BatchLedger, unique: str) -> None:
    batch = await opened(ledger, unique, "run-1")
    await ledger.write(batch, item(0))
    assert await ledger.size(unique) == 2
    await ledger.forget(unique)
    await ledger.forget(unique)
    assert (await ledger.size(unique), await ledger.find(unique)) == (0, None)

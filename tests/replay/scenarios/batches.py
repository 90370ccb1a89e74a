"""Batches: items that fail, run as jobs, are cancelled, are there already; many chunks."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.base import Queue
from jobs.status import JobState
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios
from tests.replay.scenarios.transfers import large_file, loads_rows

IMPORT: Final[Mapping[str, Any]] = {
    "source": "examples/customers.csv",
    "target": "customers",
    "dry_run": True,
}
MISSING: Final = {**IMPORT, "source": "uploads/missing.csv"}
CANCEL_TRAVELS_S: Final = 3
MANY: Final = 4_000


def mail(name: str) -> Mapping[str, Any]:
    """Return an item of a batch of mails."""
    return {"template": "welcome", "to": f"{name}@example.com", "data": {"name": "Ada"}}


async def items_as_jobs(house: House) -> Sequence[str]:
    """Items of a kind that runs as jobs: one fails, which hides no other."""
    job_id = await house.submit("batch", {"kind": "import", "items": [IMPORT, MISSING, IMPORT]})
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def done_again(house: House) -> Sequence[str]:
    """What failed in one batch is done again in another, as the same jobs."""
    first = await house.submit("batch", {"kind": "import", "items": [IMPORT, MISSING]})
    async with house.working():
        assert await house.finished(first) is JobState.COMPLETED
        again = await house.submit("batch", {"kind": "import", "retry_of": first})
        assert await house.finished(again) is JobState.COMPLETED
    return (again,)


async def cancelled_with_its_jobs(house: House) -> Sequence[str]:
    """The batch is cancelled, and what has begun of it too."""
    return await cancelled(house, "stop")


async def cancelled_without_its_jobs(house: House) -> Sequence[str]:
    """The batch is cancelled; what has begun goes on."""
    return await cancelled(house, "finish")


async def cancelled(house: House, on_cancel: str) -> Sequence[str]:
    """Cancel a batch while its one job loads rows."""
    key = await large_file(house)
    item = {"source": key, "target": "orders", "dry_run": True}
    batch = {"kind": "import", "items": [item], "on_cancel": on_cancel}
    job_id = await house.submit("batch", batch)
    async with house.working():
        child = await house.child_of(job_id)
        await house.until(child, loads_rows)
        await house.handle(job_id).cancel()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def cancelled_in_a_chunk(house: House) -> Sequence[str]:
    """The batch is cancelled while the relay thinks about an item."""
    stored, answer = asyncio.Event(), asyncio.Event()
    house.relay.before_answer = (stored, answer)
    job_id = await house.submit("batch", {"kind": "email", "items": [mail("d1"), mail("d2")]})
    async with house.working():
        await stored.wait()
        await house.handle(job_id).cancel()
        await asyncio.sleep(CANCEL_TRAVELS_S)
        answer.set()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def run_again(house: House) -> Sequence[str]:
    """A second run of the job finds the jobs of its first."""
    batch = {"kind": "import", "items": [IMPORT]}
    job_id = await house.submit("batch", batch, key="again")
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
        await house.start("RunBatch", Queue.BATCHES, job_id, batch)
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def chunk_lost(house: House) -> Sequence[str]:
    """A chunk is cut by a shutdown and loses three workers; its items become jobs."""
    stored, answer = asyncio.Event(), asyncio.Event()
    house.relay.before_answer = (stored, answer)
    job_id = await house.submit("batch", {"kind": "email", "items": [mail("c1"), mail("c2")]})
    async with house.working():
        await stored.wait()
    answer.set()
    await house.lose_workers(Queue.BATCHES, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def in_runs(house: House) -> Sequence[str]:
    """So many chunks that the server asks for a new run."""
    lines = "".join(f"{json.dumps(mail(f'b{number}'))}\n" for number in range(MANY))
    await house.adapters.storage.put("lists/mails.jsonl", lines.encode())
    batch = {"kind": "email", "items_source": "lists/mails.jsonl", "window": 100}
    job_id = await house.submit("batch", batch)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


ALL: Final = (
    *scenarios(
        items_as_jobs,
        done_again,
        cancelled_with_its_jobs,
        cancelled_without_its_jobs,
        cancelled_in_a_chunk,
        run_again,
        chunk_lost,
    ),
    *scenarios(in_runs, skip_time=True),
)

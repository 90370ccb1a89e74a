"""Rows in and rows out: stopped by bad rows, cut in the middle, resumed."""

import asyncio
from collections.abc import Sequence
from typing import Final

from jobs.base import Queue
from jobs.exports import EXPORT
from jobs.imports import IMPORT
from jobs.places import MEMO_PLACE, places_id
from jobs.status import JobState, JobStatus
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios

LOOKS: Final = 0.05
ROWS: Final = 300_000
"""Enough for a cancel to fall in the middle."""


def loads_rows(job: JobStatus) -> bool:
    """Tell whether the job has loaded some of its rows."""
    return job.progress is not None and job.progress.unit == "rows" and job.progress.done > 0


async def large_file(house: House) -> str:
    """Store a file that takes some seconds to import; return its key."""
    return await store_orders(house, ROWS)


async def small_file(house: House) -> str:
    """Store a file of a row; return its key."""
    return await store_orders(house, 1)


async def store_orders(house: House, count: int) -> str:
    """Store a file of so many orders; return its key."""
    head = "id,customer_id,product_id,ordered_at,status,currency,country,channel,amount,quantity\n"
    rows = (
        f"R-{number:07d},C-1,P-1,2026-01-01T09:00:00Z,paid,EUR,DE,web,1.50,1\n"
        for number in range(count)
    )
    key = f"uploads/orders-{count}.csv"
    await house.adapters.storage.put(key, (head + "".join(rows)).encode())
    return key


async def too_many_bad_rows(house: House) -> Sequence[str]:
    """The file has more bad rows than are allowed."""
    job_id = await house.submit("import", {**IMPORT.example, "on_error": "stop"})
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def cancelled_in_step(house: House) -> Sequence[str]:
    """The job is cancelled in the middle of its rows."""
    job = {"source": await large_file(house), "target": "orders", "dry_run": True}
    job_id = await house.submit("import", job)
    async with house.working():
        await house.until(job_id, loads_rows)
        await house.handle(job_id).cancel()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def told_to_wait(house: House, job_id: str) -> None:
    """Return when a job waits for a place."""
    while True:
        description = await house.handle(job_id).describe()
        if await description.memo_value(MEMO_PLACE, ""):
            return
        await asyncio.sleep(LOOKS)


async def one_per_target(house: House) -> Sequence[str]:
    """An import waits until another into the same table has loaded its rows."""
    first = await house.submit("import", {"source": await large_file(house), "target": "orders"})
    few = {"source": await small_file(house), "target": "orders"}
    async with house.working():
        await house.until(first, loads_rows)
        second = await house.submit("import", few)
        await told_to_wait(house, second)
        assert await house.finished(first) is JobState.COMPLETED
        assert await house.finished(second) is JobState.COMPLETED
        await house.handle(places_id("import", "orders")).result()
    return (second, places_id("import", "orders"))


async def workers_lost(house: House) -> Sequence[str]:
    """Three workers vanish while rows are loaded, after some were."""
    job = {"source": await large_file(house), "target": "orders"}
    job_id = await house.submit("import", job)
    async with house.working():
        await house.until(job_id, loads_rows)
    await house.lose_workers(Queue.TRANSFERS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def no_rows_before_poison(house: House) -> Sequence[str]:
    """Three workers vanish before a row is loaded."""
    job_id = await house.submit("import", {**IMPORT.example, "dry_run": True})
    await house.lose_workers(Queue.TRANSFERS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def resumable(house: House) -> Sequence[str]:
    """An export in parts, which are deleted at the end."""
    job_id = await house.submit("export", {**EXPORT.example, "resume": True})
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def places_in_runs(house: House) -> Sequence[str]:
    """Who has the place is terminated; so many wait for it that a new run hands it out."""
    large = {"source": await large_file(house), "target": "orders"}
    jobs = [await house.submit("import", large)]
    async with house.working():
        await house.until(jobs[0], loads_rows)
        few = {"source": await small_file(house), "target": "orders"}
        jobs += [await house.submit("import", few) for _ in range(9)]
        await house.handle(jobs[0]).terminate()
        for job_id in jobs:
            await house.finished(job_id)
        await house.finished(places_id("import", "orders"))
    return (places_id("import", "orders"),)


ALL: Final = (
    *scenarios(
        too_many_bad_rows,
        cancelled_in_step,
        workers_lost,
        no_rows_before_poison,
        one_per_target,
        resumable,
    ),
    *scenarios(places_in_runs, skip_time=True),
)

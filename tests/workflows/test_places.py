"""Places on a real server: never more than there are, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.places import PlaceActivities
from jobs.client.places import JobsOnServer
from jobs.places import MEMO_PLACE, places_id
from tests.workflows.one_place import WorkInPlaceWorkflow
from workflows.places import KeepPlacesWorkflow
from workflows.sandbox import RUNNER

PATIENCE_S = 60
Handle: TypeAlias = WorkflowHandle[Any, Any]


@asynccontextmanager
async def working(client: Client, queue: str) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=queue,
        workflows=[WorkInPlaceWorkflow, KeepPlacesWorkflow],
        activities=PlaceActivities(JobsOnServer(client)).all(),
        workflow_runner=RUNNER,
    ):
        yield


async def start(client: Client, queue: str, number: int) -> Handle:
    """Start a job that wants one of two places of the test's key."""
    return await client.start_workflow(
        WorkInPlaceWorkflow.run, queue, id=f"{queue}-{number}", task_queue=queue
    )


async def works(job: Handle) -> None:
    """Return when the job has a place."""
    async with asyncio.timeout(PATIENCE_S):
        while not await job.query(WorkInPlaceWorkflow.works):  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)


async def waits(job: Handle) -> str:
    """Return in whose favour the job waits, when it has been told."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = await (await job.describe()).memo_value(MEMO_PLACE, "")
            if told:
                return str(told)
            await asyncio.sleep(0.1)


async def test_a_job_waits_while_all_places_are_taken_and_says_by_whom(
    client: Client, unique: str
) -> None:
    async with working(client, unique):
        first, second = [await start(client, unique, number) for number in range(2)]
        await asyncio.gather(works(first), works(second))
        third = await start(client, unique, 2)
        told = await waits(third)
        waited = not await third.query(WorkInPlaceWorkflow.works)
        await first.signal(WorkInPlaceWorkflow.leave)
        await works(third)
        assert (await (await third.describe()).memo_value(MEMO_PLACE, None)) is None
        for job in (second, third):
            await job.signal(WorkInPlaceWorkflow.leave)
        await client.get_workflow_handle(places_id("work", unique)).result()

    assert waited
    assert told.startswith("waiting for a place: 2 of 2 taken by ")
    assert {first.id, second.id} == {*told.rpartition("by ")[2].split(", ")}


@pytest.mark.parametrize("end", ["terminate", "cancel"])
async def test_the_place_of_a_job_that_was_ended_is_handed_on(
    client: Client, unique: str, end: str
) -> None:
    async with working(client, unique):
        first, second = [await start(client, unique, number) for number in range(2)]
        await asyncio.gather(works(first), works(second))
        third = await start(client, unique, 2)
        await waits(third)
        await getattr(first, end)()
        await works(third)
        assert await second.query(WorkInPlaceWorkflow.works)


async def test_a_job_that_is_cancelled_in_the_line_takes_nobodys_turn(
    client: Client, unique: str
) -> None:
    async with working(client, unique):
        first, second = [await start(client, unique, number) for number in range(2)]
        await asyncio.gather(works(first), works(second))
        third, fourth = [await start(client, unique, number) for number in (2, 3)]
        await asyncio.gather(waits(third), waits(fourth))
        await third.cancel()
        await second.signal(WorkInPlaceWorkflow.leave)
        await works(fourth)
        assert await first.query(WorkInPlaceWorkflow.works)

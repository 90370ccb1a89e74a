"""Queues as the server tells them, with no worker of ours asked."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client

from jobs.base import JobKind, Queue
from jobs.client import JobClient
from jobs.client.queues import find_queue, queue_status, queue_statuses
from jobs.errors import InvalidInputError
from tests.jobs.conftest import StartWorker
from tests.jobs.queues import waiting


async def test_a_queue_that_nobody_polls_tells_its_backlog_and_the_age_of_the_oldest(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any]
) -> None:
    for _ in range(3):
        await jobs.submit(kind.name, {"text": "hello"})

    status = await waiting(client, kind.queue, 3)

    assert (status.waiting, status.pollers, status.last_poll_at) == (3, 0, None)
    assert status.oldest_seconds is not None
    assert status.oldest_seconds >= 0
    assert (status.rate, status.paused, status.reason, status.author) == (None, False, None, None)


async def test_a_queue_with_a_worker_tells_that_it_is_polled_and_nothing_waits(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any], worker: StartWorker
) -> None:
    async with worker():
        job = await jobs.submit(kind.name, {"text": "hello"})
        await jobs.wait(job.id)
        async with asyncio.timeout(120):
            while (status := await queue_status(client, kind.queue)).waiting:  # noqa: ASYNC110 - the count lags
                await asyncio.sleep(0.1)

    assert (status.waiting, status.oldest_seconds, status.pollers) == (0, None, 1)
    assert status.last_poll_at is not None


async def test_all_queues_are_told_in_the_order_of_the_list(client: Client) -> None:
    assert [status.name for status in await queue_statuses(client)] == list(Queue)


def test_an_unknown_queue_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'images'"):
        find_queue("image")
    assert find_queue("emails") is Queue.EMAILS

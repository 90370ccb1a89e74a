"""Waiting for what a queue has in store."""

import asyncio

from temporalio.client import Client

from jobs.client.queues import ACTIVITY, QueueStatus, describe, queue_status


async def waiting(client: Client, queue: str, count: int) -> QueueStatus:
    """Return how the queue stands when that many tasks wait in it; the count lags a little."""
    async with asyncio.timeout(180):
        while True:
            status = await queue_status(client, queue)
            if status.waiting >= count:
                return status
            await asyncio.sleep(0.1)


async def steps_waiting(client: Client, queue: str, count: int) -> None:
    """Return when that many steps wait: every job has begun as far as a pause lets it."""
    async with asyncio.timeout(180):
        while True:
            steps = await describe(client, queue, ACTIVITY)
            if steps.stats.approximate_backlog_count >= count:
                return
            await asyncio.sleep(0.1)

"""Waiting for what a queue has in store."""

import asyncio

from temporalio.client import Client

from jobs.client.queues import QueueStatus, queue_status


async def waiting(client: Client, queue: str, count: int) -> QueueStatus:
    """Return how the queue stands when that many tasks wait in it; the count lags a little."""
    async with asyncio.timeout(60):
        while True:
            status = await queue_status(client, queue)
            if status.waiting >= count:
                return status
            await asyncio.sleep(0.1)

"""Deliveries to receivers that misbehave, by workers that are killed: none is lost."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters import devserver
from adapters.database import Database, migrate
from jobs.client import JobClient, Submission, connect
from jobs.client.webhooks import EndpointDesk
from opening import open_endpoint_desk
from settings import Settings
from tests.end_to_end.installation import Installation
from tests.faults.receiving import Receiver, receiving

pytestmark = pytest.mark.slow

EVENTS = int(os.environ.get("FAULT_EVENTS", "30"))
"""Each goes to five receivers; the long form is ``FAULT_EVENTS=200``."""
KILLS = 3
PATIENCE_S = 1500
LOOK_S = 0.1
WORKER = {"CONVEYOR_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}


async def register(desk: EndpointDesk, receiver: Receiver) -> None:
    options = {
        "url": f"http://127.0.0.1:{receiver.port}/",
        "timeout_s": 3,
        "schedule": ["PT0S", *["PT1S"] * 19],
    }
    _, receiver.key = await desk.add("", options)


async def publish(jobs: JobClient) -> None:
    """Submit the events, a few at a time."""
    gate = asyncio.Semaphore(8)

    async def one(number: int) -> None:
        async with gate:
            data = {"event_type": "thing.done", "payload": {"n": number}}
            await jobs.submit("event", data, Submission(key=f"n{number}"))

    await asyncio.gather(*(one(number) for number in range(EVENTS)))


async def until(accepted: Callable[[], int], enough: int) -> None:
    for _ in range(int(PATIENCE_S / LOOK_S)):
        if accepted() >= enough:
            return
        await asyncio.sleep(LOOK_S)
    pytest.fail(f"{accepted()} of {enough} deliveries arrived in {PATIENCE_S} s")


async def keep_killing(installation: Installation, accepted: Callable[[], int], total: int) -> None:
    """Run workers one after the other, killing each in the middle of its work but the last."""
    for kill in range(1, KILLS + 1):
        running = installation.worker(**WORKER)
        worker = await asyncio.to_thread(running.__enter__)
        await until(accepted, total * kill // (KILLS + 2))
        await asyncio.to_thread(worker.kill)
        await asyncio.to_thread(running.__exit__, None, None, None)
    running = installation.worker(**WORKER)
    await asyncio.to_thread(running.__enter__)
    try:
        await until(accepted, total)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_no_delivery_is_lost_whatever_receivers_and_workers_do(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", webhook_allow_http=True, webhook_allow_ports=True
    )
    settings.data_dir.mkdir()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await devserver.ensure(tmp_path, port=0))
        address = server.server.address
        await migrate(settings.database)
        database = Database.open(settings.database)
        stack.push_async_callback(database.close)
        temporal = await connect(address=address)
        desk = open_endpoint_desk(settings, database, temporal)
        receivers = [
            await stack.enter_async_context(receiving(fault))
            for fault in ("close", "500", "hang", "drip", "reset")
        ]
        for receiver in receivers:
            await register(desk, receiver)
        installation = Installation(tmp_path, {"TEMPORAL_ADDRESS": address})
        await publish(JobClient(temporal))

        def accepted() -> int:
            return sum(len(receiver.accepted) for receiver in receivers)

        await keep_killing(installation, accepted, EVENTS * len(receivers))
    expected = {f"event-n{number}" for number in range(EVENTS)}
    for receiver in receivers:
        assert set(receiver.accepted) == expected
        assert all(len(bodies) == 1 for bodies in receiver.bodies.values())
        assert receiver.refused == 0

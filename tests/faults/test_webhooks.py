"""A thousand deliveries to receivers that misbehave, by workers that are killed: none is lost."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters import devserver
from adapters.database import Database, migrate
from jobs.client import JobClient, Submission, connect
from jobs.client.webhooks import EndpointDesk
from opening import open_endpoint_desk
from settings import Settings
from tests.end_to_end.installation import Installation, WorkerProcess
from tests.faults.receiving import Receiver, receiving

pytestmark = pytest.mark.slow

EVENTS = 200
KILLS = 5
PATIENCE_S = 480


async def register(desk: EndpointDesk, receiver: Receiver) -> None:
    options = {
        "url": f"http://127.0.0.1:{receiver.port}/",
        "timeout_s": 1,
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


async def keep_killing(installation: Installation, enough: asyncio.Event) -> int:
    """Run workers one after the other, killing each in the middle of its work."""
    kills = 0
    while not enough.is_set():
        running = installation.worker(CONVEYOR_WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")
        worker = await asyncio.to_thread(running.__enter__)
        try:
            await until_killed_or_done(worker, enough, may_kill=kills < KILLS)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
        kills += not enough.is_set()
    return kills


async def until_killed_or_done(
    worker: WorkerProcess, enough: asyncio.Event, *, may_kill: bool
) -> None:
    if not may_kill:
        await enough.wait()
        return
    try:
        async with asyncio.timeout(8):
            await enough.wait()
    except TimeoutError:
        await asyncio.to_thread(worker.kill)


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
        enough = asyncio.Event()
        installation = Installation(tmp_path, {"TEMPORAL_ADDRESS": address})
        killing = asyncio.create_task(keep_killing(installation, enough))
        await publish(JobClient(temporal))
        async with asyncio.timeout(PATIENCE_S):
            while any(len(receiver.accepted) < EVENTS for receiver in receivers):
                assert not killing.done()
                await asyncio.sleep(0.5)  # between looks at the receivers
        enough.set()
        kills = await killing
    expected = {f"event-n{number}" for number in range(EVENTS)}
    assert kills == KILLS
    for receiver in receivers:
        assert set(receiver.accepted) == expected
        assert all(len(bodies) == 1 for bodies in receiver.bodies.values())

"""A thousand deliveries to receivers that misbehave, by workers that are killed: none is lost."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import standardwebhooks

from adapters import devserver
from adapters.database import Database, migrate
from jobs.client import JobClient, Submission, connect
from jobs.client.webhooks import EndpointDesk
from opening import open_endpoint_desk
from settings import Settings
from tests.end_to_end.installation import Installation, WorkerProcess

pytestmark = pytest.mark.slow

EVENTS = 200
KILLS = 5
MISBEHAVED = 0.3
"""Share of requests that a receiver spoils."""
PATIENCE_S = 480
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Receiver:
    """A bare HTTP server that spoils some requests in its own way."""

    fault: str
    port: int = 0
    key: str = ""
    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 (repeatable)

    connections: set[asyncio.WriteTransport] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer.transport)
        try:
            while True:
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.discard(writer.transport)
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:]
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        cased = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines if line}
        body = await reader.readexactly(int(headers["content-length"]))
        standardwebhooks.Webhook(self.key).verify(body, cased)
        self.bodies[cased["webhook-id"]].add(body)
        if self.chance.random() < MISBEHAVED:
            await self.misbehave(writer)
            return
        self.accepted[cased["webhook-id"]] += 1
        writer.write(NO_CONTENT)

    async def misbehave(self, writer: asyncio.StreamWriter) -> None:
        match self.fault:
            case "500":
                writer.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
                return
            case "hang":
                await asyncio.sleep(3)
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
                for _ in range(30):
                    writer.write(b".")
                    await asyncio.sleep(0.1)
            case "reset":
                writer.transport.abort()
            case _:
                pass
        raise ConnectionError


@asynccontextmanager
async def receiving(fault: str) -> AsyncIterator[Receiver]:
    receiver = Receiver(fault)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for connection in list(receiver.connections):
            connection.abort()
        await asyncio.sleep(0.1)  # their handlers end


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
            for fault in ("none", "500", "hang", "drip", "reset")
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

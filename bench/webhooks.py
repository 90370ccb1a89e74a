"""What webhooks cost, in and out.

In: the door's median beside that of what it can't do without, one SQLite insert and one
``start_workflow``, in turns.

Out: events to ten endpoints through a real ``worker.py``, all healthy, and then with one that
accepts connections and never answers: the healthy ones' p95 from publishing to arrival in both
runs, and the requests that the dead endpoint got.
"""

import asyncio
import hashlib
import hmac
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client

from adapters import devserver
from adapters.database import Database, migrate
from adapters.database.webhooks.inbound import InboundEvents
from adapters.storage import Storage
from bench.harness import Plan, Row
from cli.local import process
from jobs.base import Queue
from jobs.client import connect
from jobs.client.submission import Submission, submit
from jobs.client.webhooks import InboundStarter
from jobs.events import EVENT
from jobs.signatures.schemes import Scheme
from jobs.webhooks import WEBHOOK, ProcessWebhook
from jobs.webhooks.door import Arrival, InboundDoor
from jobs.webhooks.sources import WebhookSource
from opening import open_endpoint_desk
from settings import Settings

NAME = "webhooks"
TITLE = "Webhooks: the door in, and ten endpoints of which one is dead"

EVENTS, QUICK_EVENTS = 1000, 60
REQUESTS, QUICK_REQUESTS = 200, 40
MOST_OF_FLOOR, MOST_OF_HEALTHY, MOST_REQUESTS = 2, 1.2, 19
SECRET = "bench"  # noqa: S105 (of the bench's own sender)
ENDPOINTS = 10
PUBLISHERS = 8
PATIENCE_S = 1800
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
PUSH = json.dumps(
    {
        "ref": "refs/heads/main",
        "before": "a" * 40,
        "after": "b" * 40,
        "commits": [{"id": "b" * 40, "message": "x" * 100}] * 5,
        "repository": {"full_name": "acme/shop"},
    }
).encode()


@dataclass
class Receiver:
    """A bare HTTP server that notes when each event came."""

    dead: bool = False
    port: int = 0
    requests: int = 0
    arrived: dict[str, float] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(headers["content-length"]))
                self.requests += 1
                if not self.dead:
                    self.arrived.setdefault(headers["webhook-id"], time.perf_counter())
                    writer.write(NO_CONTENT)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(*, dead: bool = False) -> AsyncIterator[Receiver]:
    """Run a receiver while the context is open."""
    receiver = Receiver(dead)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@dataclass(frozen=True)
class House:
    """What the bench runs on."""

    settings: Settings
    database: Database
    storage: Storage
    temporal: Client


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    """Start a server on a folder of its own."""
    settings = Settings(
        data_dir=folder,
        webhook_allow_http=True,
        webhook_allow_ports=True,
        webhook_allowed_networks=["127.0.0.0/8"],
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await devserver.ensure(folder, port=0))
        await migrate(settings.database)
        database = Database.open(settings.database)
        stack.push_async_callback(database.close)
        temporal = await connect(address=server.server.address)
        yield House(settings, database, Storage.open(settings.storage), temporal)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return how many milliseconds ``work`` takes."""
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def measure_door(house: House, requests: int) -> tuple[float, float]:
    """Return the medians of the floor and of the door."""
    source = WebhookSource(scheme=Scheme.GITHUB, secrets=[SecretStr(SECRET)])
    events = InboundEvents(house.database)
    door = InboundDoor({"github": source}, events, house.storage, InboundStarter(house.temporal))
    digest = hmac.new(SECRET.encode(), PUSH, hashlib.sha256).hexdigest()

    async def floor() -> None:
        event_id = uuid4().hex
        await events.add(
            Arrival(
                source="floor",
                event_id=event_id,
                owner="",
                type="push",
                content_type="application/json",
                headers={},
                size=len(PUSH),
                body=PUSH,
                body_key=None,
                received_at=datetime.now(UTC),
            )
        )
        await house.temporal.start_workflow(
            WEBHOOK.workflow,
            ProcessWebhook(source="floor", event_id=event_id),
            id=f"floor-{event_id}",
            task_queue=Queue.WEBHOOKS,
        )

    async def through_the_door() -> None:
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": uuid4().hex,
            "x-hub-signature-256": f"sha256={digest}",
        }
        receipt = await door.receive("github", headers, PUSH)
        assert receipt.status == 202, receipt  # noqa: S101 (a bench that measures refusals lies)

    floors, doors = [], []
    for _ in range(requests):
        floors.append(await timed(floor))
        doors.append(await timed(through_the_door))
    return statistics.median(floors), statistics.median(doors)


async def measure_fanout(house: House, events: int, *, dead: bool) -> tuple[float, float, int]:
    """Return the healthy endpoints' p95 in seconds, the time for all, and the dead one's requests.

    The first endpoint is the dead one, or a healthy one that is left out of the count.
    """
    owner = uuid4().hex
    desk = open_endpoint_desk(house.settings, house.database, house.temporal)
    async with AsyncExitStack() as stack:
        receivers = [
            await stack.enter_async_context(receiving(dead=dead and number == 0))
            for number in range(ENDPOINTS)
        ]
        for receiver in receivers:
            await desk.add(owner, {"url": f"http://127.0.0.1:{receiver.port}/"})
        published: dict[str, float] = {}
        gate = asyncio.Semaphore(PUBLISHERS)

        async def publish() -> None:
            async with gate:
                began = time.perf_counter()
                data = {"event_type": "thing.done", "payload": {"text": "x" * 400}}
                made = await submit(house.temporal, EVENT, data, Submission(owner=owner))
                published[made.job_id] = began

        began = time.perf_counter()
        await asyncio.gather(*(publish() for _ in range(events)))
        healthy = receivers[1:]
        async with asyncio.timeout(PATIENCE_S):
            while any(len(receiver.arrived) < events for receiver in healthy):  # noqa: ASYNC110 (looks)
                await asyncio.sleep(0.05)
        took = time.perf_counter() - began
        waits = [
            at - published[event_id]
            for receiver in healthy
            for event_id, at in receiver.arrived.items()
        ]
        return statistics.quantiles(waits, n=20)[-1], took, receivers[0].requests


async def run(plan: Plan) -> Sequence[Row]:
    """Measure both ways once, at the plan's size."""
    events, requests = plan.of(EVENTS, QUICK_EVENTS), plan.of(REQUESTS, QUICK_REQUESTS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_house(folder) as house:
            floor, door = await measure_door(house, requests)
            environment = {
                **os.environ,
                "CONVEYOR_DATA_DIR": str(folder),
                "CONVEYOR_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
                "TEMPORAL_ADDRESS": house.temporal.service_client.config.target_host,
            }
            log = folder / "worker.log"
            async with process(
                "worker.py", "--queue", "webhooks", log=log, ready="ready", environment=environment
            ):
                await settle(house)
                well, all_well, _ = await measure_fanout(house, events, dead=False)
                ill, all_ill, asked = await measure_fanout(house, events, dead=True)
    return [
        Row(
            name="the door over one insert and one start_workflow",
            value=door / floor,
            limit=MOST_OF_FLOOR,
            detail=f"median {door:.1f} ms, {floor:.1f} ms",
        ),
        Row(
            name=f"{events:,} events to {ENDPOINTS}, p95 with a dead one over without",
            value=ill / well,
            limit=MOST_OF_HEALTHY,
            detail=f"{ill:.1f} s, {well:.1f} s",
        ),
        Row(name="requests to the dead one", value=asked, limit=MOST_REQUESTS, unit=""),
        Row(
            name="deliveries a second",
            value=events * ENDPOINTS / all_well,
            unit="/s",
            detail=f"all after {all_well:.0f} s, with a dead one {all_ill:.0f} s",
        ),
    ]


async def settle(house: House) -> None:
    """Return when the jobs of the first part are done."""
    while (await house.temporal.count_workflows("ExecutionStatus = 'Running'")).count:  # noqa: ASYNC110 (asks)
        await asyncio.sleep(0.5)

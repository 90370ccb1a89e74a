"""Where the proof runs: a server, a small disk, a relay, receivers, and workers, all real."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError

from adapters import devserver
from adapters.database import Database, migrate
from adapters.database.shop_demo import FIRST_DAY, load_demo
from adapters.devserver import EmbeddedServer
from adapters.storage import Storage
from jobs.client import JobClient, JobFilter, connect
from jobs.errors import ConveyorError
from jobs.status import JobState
from jobs.webhooks.door import InboundDoor
from opening import open_endpoint_desk, open_inbound_door
from settings import Settings
from tests.faults.receiving import Receiver, receiving
from tests.mail_relay import mail_relay
from tests.proof.clocks import Clock, make_clock
from tests.proof.fleet import Fleet, open_fleet
from tests.proof.links import Link, link_to
from tests.proof.load import SOURCE
from tests.proof.peers import Relay
from tests.proof.plan import WORKERS

RECEIVERS: Final = 2
SECRET: Final = "a secret of the proof"  # noqa: S105 (of this run only)
DAYS_OF_ORDERS: Final = 10
DISK_BYTES: Final = 64 * 1024**2
DISK_BYTES_A_JOB: Final = 64 * 1024
RECEIVER_TIMEOUT_S: Final = 5
"""Less than a receiver hangs, more than one takes on a slow machine."""
DELIVERY_SCHEDULE: Final = ["PT0S", *["PT1S"] * 19]

AWAY: Final = (ConveyorError, RPCError, RuntimeError)
"""What is raised while the server is away."""

COUNT_WRITES: Final = (
    "CREATE TABLE proof_writes (id TEXT NOT NULL)",
    "CREATE TRIGGER proof_inserted AFTER INSERT ON customers "
    "BEGIN INSERT INTO proof_writes VALUES (NEW.id); END",
    "CREATE TRIGGER proof_updated AFTER UPDATE ON customers "
    "BEGIN INSERT INTO proof_writes VALUES (NEW.id); END",
)
"""The table itself counts what is written to it."""


@dataclass(slots=True)
class Disk:
    """A folder that can be filled up."""

    folder: Path
    small: str = ""
    """Why it can't be filled; empty if it can."""

    @property
    def full(self) -> bool:
        """Whether it is filled now."""
        return (self.folder / "filler").exists()

    def fill(self) -> None:
        """Leave no room."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(bytes(65_536)):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        """Make room again."""
        (self.folder / "filler").unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Disk]:
    """Mount a file system of ``size`` bytes on ``folder``, where that is allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        yield Disk(folder, "a small file system can be mounted by root only")
        return
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield Disk(folder, "a small file system can't be mounted here, though this is root")
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@dataclass(slots=True, kw_only=True)
class Place:
    """Everything of one run of the proof."""

    server: EmbeddedServer
    temporal: Client
    jobs: JobClient
    database: Database
    storage: Storage
    disk: Disk
    relay: Relay
    receivers: Sequence[tuple[str, Receiver, Link]]
    """Each with the id of its endpoint and the link to it."""
    door: InboundDoor
    clock: Clock
    fleet: Fleet = field(default_factory=lambda: Fleet([]))

    async def held(self) -> Sequence[str]:
        """Return ids of held jobs; none while the server is away."""
        try:
            page = await self.jobs.list(JobFilter(state=JobState.HELD), limit=100)
        except AWAY:
            return ()
        return [job.id for job in page.jobs]

    def kill_server(self) -> None:
        """End the server as a crash would; its keeper starts it anew on the same file."""
        with suppress(ProcessLookupError):  # still dead of the last time
            os.kill(self.server.server.pid, signal.SIGKILL)


@asynccontextmanager
async def open_place(folder: Path, *, jobs: int, seed: int) -> AsyncIterator[Place]:
    """Start everything but the workers, and end it when the body does."""
    async with AsyncExitStack() as stack:
        data = folder / "data"
        data.mkdir()
        disk = stack.enter_context(small_disk(data, DISK_BYTES + jobs * DISK_BYTES_A_JOB))
        server = await stack.enter_async_context(await devserver.ensure(folder / "server", port=0))
        keeper = asyncio.create_task(server.keep_alive())
        stack.callback(keeper.cancel)
        relay = await stack.enter_async_context(mail_relay(relay=Relay()))
        assert isinstance(relay, Relay)
        settings = Settings.model_validate(
            {
                "data_dir": data,
                "webhook_allow_http": True,
                "webhook_allow_ports": True,
                "webhook_sources": json.dumps({SOURCE: {"scheme": "github", "secrets": [SECRET]}}),
            }
        )
        await migrate(settings.database)
        database = Database.open(settings.database)
        stack.push_async_callback(database.close)
        await load_demo(database, _noon(DAYS_OF_ORDERS))
        async with database.begin() as connection:
            for statement in COUNT_WRITES:
                await connection.execute(text(statement))
        temporal = await connect(address=server.server.address)
        desk = open_endpoint_desk(settings, database, temporal)
        receivers = []
        for number in range(RECEIVERS):
            chance = Random(f"receiver {seed} {number}")  # noqa: S311 (repeatable)
            receiver = await stack.enter_async_context(
                receiving("500", "close", "hang", "drip", "reset", "lie", chance=chance)
            )
            link = await stack.enter_async_context(link_to(receiver.port))
            endpoint, receiver.key = await desk.add(
                "",
                {
                    "url": f"http://127.0.0.1:{link.port}/",
                    "timeout_s": RECEIVER_TIMEOUT_S,
                    "schedule": DELIVERY_SCHEDULE,
                },
            )
            receivers.append((endpoint.id, receiver, link))
        storage = Storage.open(settings.storage)
        yield Place(
            server=server,
            temporal=temporal,
            jobs=JobClient(temporal),
            database=database,
            storage=storage,
            disk=disk,
            relay=relay,
            receivers=receivers,
            door=open_inbound_door(settings, database, storage, temporal),
            clock=make_clock(folder),
        )


async def start_workers(stack: AsyncExitStack, place: Place, folder: Path) -> None:
    """Start the workers, which end with ``stack``."""
    common = {
        "CONVEYOR_DATA_DIR": str(folder / "data"),
        "CONVEYOR_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "CONVEYOR_WEBHOOK_ALLOW_HTTP": "true",
        "CONVEYOR_WEBHOOK_ALLOW_PORTS": "true",
        "CONVEYOR_SHUTDOWN_GRACE": "10s",
    }
    place.fleet = await open_fleet(
        stack,
        folder,
        common,
        count=WORKERS,
        server_port=place.server.server.port,
        relay_port=place.relay.port,
        odd_clock=place.clock.variables,
    )


def _noon(days: int) -> datetime:
    day = FIRST_DAY + timedelta(days=days)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

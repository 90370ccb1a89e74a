"""What tests of webhooks share: the real database and workflows, and a scripted receiver."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.deliveries import DeliveryActivities
from activities.events import EventActivities
from adapters.database import Database, migrate
from adapters.database.webhooks.deliveries import DeliveryLog
from adapters.database.webhooks.endpoints import Endpoints
from adapters.database.webhooks.events import Events, delivery_id
from adapters.sealing import SecretBox
from adapters.storage import Storage
from jobs.base import Queue
from jobs.deliveries import DeliverWebhook
from jobs.deliveries.answers import Answer
from jobs.endpoints import Endpoint, NewEndpoint
from jobs.events import EventRecord, full_body
from jobs.signatures import standard
from jobs.signatures.standard import SignatureAlgorithm
from tests.conftest import RUNNER
from workflows.deliveries import DeliverWebhookWorkflow
from workflows.events import PublishEventWorkflow

OWNER = "acme"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """What a receiver got."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class ScriptedSender:
    """Answers each request with the next of ``answers``, the last one for ever."""

    answers: list[Answer] = field(default_factory=lambda: [Answer(status=204)])
    requests: list[Request] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    pause: asyncio.Event | None = None
    """Set while answers may be given."""

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float
    ) -> Answer:
        self.requests.append(Request(url, body, headers))
        self.called.set()
        if self.pause is not None:
            await self.pause.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def statuses(*codes: int) -> list[Answer]:
    return [Answer(status=code) for code in codes]


@dataclass
class House:
    """Everything of webhooks, over one database."""

    database: Database
    storage: Storage
    sender: ScriptedSender = field(default_factory=ScriptedSender)
    box: SecretBox = field(default_factory=lambda: SecretBox(b"k" * 32, "test"))

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.database, self.box)

    @property
    def log(self) -> DeliveryLog:
        return DeliveryLog(self.database, self.box)

    @property
    def events(self) -> Events:
        return Events(self.database)

    async def add_endpoint(self, name: str, **options: Any) -> tuple[Endpoint, str]:
        """Register an endpoint and return it with its key."""
        new = NewEndpoint.model_validate({"url": f"https://{name}.example.com/hook", **options})
        key = standard.new_key(SignatureAlgorithm(new.algorithm))
        return await self.endpoints.add(name, OWNER, new, key, NOW), key

    async def add_event(
        self, event_id: str, *endpoints: Endpoint, at: datetime = NOW
    ) -> list[DeliverWebhook]:
        """Record an event, and return the delivery to each endpoint."""
        body = full_body("invoice.paid", at, {"n": event_id})
        record = EventRecord(
            id=event_id,
            owner=OWNER,
            type="invoice.paid",
            occurred_at=at,
            full_body=body,
            thin_body=None,
        )
        await self.events.record(record, endpoints, at)
        return [
            DeliverWebhook(event_id=event_id, endpoint_id=endpoint.id, schedule=endpoint.schedule)
            for endpoint in endpoints
        ]

    @asynccontextmanager
    async def worker(
        self, client: Client, *, more: Sequence[Callable[..., object]] = ()
    ) -> AsyncIterator[Worker]:
        """Run the workflows and steps of webhooks."""
        steps = [
            *DeliveryActivities(self.log, self.sender).all(),
            *EventActivities(self.events, self.storage, "https://conveyor.example.com").all(),
            *more,
        ]
        async with Worker(
            client,
            task_queue=Queue.WEBHOOKS,
            workflows=[DeliverWebhookWorkflow, PublishEventWorkflow],
            activities=steps,
            workflow_runner=RUNNER,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        ) as worker:
            yield worker

    @asynccontextmanager
    async def closing(self) -> AsyncIterator["House"]:
        try:
            yield self
        finally:
            await self.database.close()


def job_id(job: DeliverWebhook) -> str:
    return delivery_id(job.event_id, job.endpoint_id)


async def make_template(folder: Path) -> Path:
    """Make a migrated SQLite file, to be copied."""
    path = folder / "conveyor.db"
    await migrate(f"sqlite:///{path}")
    return path


def open_house(template: Path, folder: Path) -> House:
    """Open a house over a copy of ``template``."""
    path = folder / "conveyor.db"
    shutil.copyfile(template, path)
    return House(Database.open(f"sqlite:///{path}"), Storage.open("memory:"))

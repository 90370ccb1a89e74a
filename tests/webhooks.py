"""What tests of webhooks share: the real database and workflows, and a scripted receiver."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.deliveries import DeliveryActivities
from activities.events import EventActivities
from activities.handlers import ALL
from activities.handlers.registry import Handler, Handlers
from activities.handlers.tools import Tools
from activities.webhooks import WebhookActivities
from adapters.database import Database, migrate
from adapters.database.webhooks.deliveries import DeliveryBook, DeliveryLog
from adapters.database.webhooks.effects import OrderBook, PushLog
from adapters.database.webhooks.endpoints import Endpoints
from adapters.database.webhooks.events import Events, delivery_id
from adapters.database.webhooks.inbound import InboundEvents
from adapters.sealing import SecretBox
from adapters.storage import Storage
from jobs.base import Queue
from jobs.client.webhooks import InboundStarter
from jobs.deliveries import DeliverWebhook
from jobs.deliveries.answers import Answer
from jobs.endpoints import Endpoint, NewEndpoint
from jobs.events import EventRecord, full_body
from jobs.signatures import standard
from jobs.signatures.standard import SignatureAlgorithm
from jobs.webhooks.door import InboundDoor
from jobs.webhooks.sources import WebhookSource
from workflows.deliveries import DeliverWebhookWorkflow
from workflows.events import PublishEventWorkflow
from workflows.sandbox import RUNNER
from workflows.webhooks import ProcessWebhookWorkflow, SweepWebhooksWorkflow

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
    handlers: Sequence[Handler] = ALL

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.database, self.box)

    @property
    def log(self) -> DeliveryLog:
        return DeliveryLog(self.database, self.box)

    @property
    def book(self) -> DeliveryBook:
        return DeliveryBook(self.database)

    @property
    def events(self) -> Events:
        return Events(self.database)

    @property
    def inbound(self) -> InboundEvents:
        return InboundEvents(self.database)

    @property
    def tools(self) -> Tools:
        return Tools(pushes=PushLog(self.database), orders=OrderBook(self.database))

    def door(
        self, client: Client, sources: Mapping[str, WebhookSource], *, now: float | None = None
    ) -> InboundDoor:
        """Return the door as the command line and the API open it."""
        clock = time.time if now is None else (lambda: now)
        return InboundDoor(sources, self.inbound, self.storage, InboundStarter(client), clock=clock)

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
    async def worker(self, client: Client) -> AsyncIterator[Worker]:
        """Run the workflows and steps of webhooks."""
        inbound = WebhookActivities(
            self.inbound, self.events, self.storage, Handlers(self.handlers), self.tools
        )
        steps = [
            *inbound.all(),
            *DeliveryActivities(self.log, self.sender).all(),
            *EventActivities(self.events, self.storage, "https://conveyor.example.com").all(),
        ]
        async with Worker(
            client,
            task_queue=Queue.WEBHOOKS,
            workflows=[
                DeliverWebhookWorkflow,
                PublishEventWorkflow,
                ProcessWebhookWorkflow,
                SweepWebhooksWorkflow,
            ],
            activities=steps,
            workflow_runner=RUNNER,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        ) as worker:
            yield worker


@pytest.fixture(scope="session")
async def webhook_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("webhooks") / "conveyor.db"
    await migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
async def house(webhook_template: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A house of the test's own."""
    path = tmp_path / "conveyor.db"
    shutil.copyfile(webhook_template, path)
    database = Database.open(f"sqlite:///{path}")
    yield House(database, Storage.open("memory:"))
    await database.close()


def job_id(job: DeliverWebhook) -> str:
    return delivery_id(job.event_id, job.endpoint_id)

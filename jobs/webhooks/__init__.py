"""Webhook jobs: an event that came in is handled once, by the handler of its source and type.

Queue ``webhooks``. The door (``jobs.webhooks.door``) has verified and stored the event before the
job starts; the job's input names it and holds nothing of it. One step, ten attempts, 1 s doubling
to 10 min; after the last the event is a dead letter, to be replayed or discarded.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.base import NEVER_RETRIED, Contract, Identifier, JobKind, Queue
from jobs.errors import PermanentError
from jobs.events import PublishEvent
from jobs.signatures.schemes import EVENT_ID

KEPT: Final = timedelta(days=30)
"""How long events and the keys of their effects are kept: a repetition within it does nothing."""

JOB_KEY_CHARACTERS: Final = 128
PLAIN_KEY: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")


class InboundState(StrEnum):
    """Where an inbound event is."""

    RECEIVED = "received"
    PROCESSING = "processing"
    PROCESSED = "processed"
    IGNORED = "ignored"
    """No handler is registered for its type."""
    REJECTED = "rejected"
    """It doesn't have the shape that its handler needs; no attempt can mend that."""
    STALE = "stale"
    """A newer event about the same object was handled before."""
    DEAD = "dead"
    """Every attempt failed: replay or discard it."""
    DISCARDED = "discarded"
    """A dead letter that somebody decided not to replay."""


class InboundEventMissing(PermanentError):
    """The stored event is gone: it is past its 30 days, or the database was restored."""


class EventRejected(PermanentError):
    """Raised by a handler: the event doesn't have the shape that it needs."""


class ProcessWebhook(Contract):
    """An inbound event to handle."""

    source: Identifier
    """Who sent it: a name from ``CONVEYOR_WEBHOOK_SOURCES``."""
    event_id: Annotated[str, Field(pattern=f"^{EVENT_ID.pattern}$")]
    """The sender's id of it."""


class WebhookOutcome(Contract):
    """What became of an inbound event."""

    outcome: InboundState
    handler: str | None = None
    """Which handler took it."""
    note: str = ""
    """What the handler says about it; nothing personal."""


class Handled(Contract):
    """What a handler returns."""

    outcome: InboundState = InboundState.PROCESSED
    note: str = ""
    publish: PublishEvent | None = None
    """An outbound event to publish, once, under this event's id."""


class HandledStep(Contract):
    """What the step tells the workflow."""

    result: WebhookOutcome
    publish: PublishEvent | None = None


class InboundEvent(Contract):
    """A verified event, as handlers get it."""

    source: str
    id: str
    type: str
    body: dict[str, Any]
    occurred_at: datetime | None = None
    """When it happened, if the sender says so."""
    received_at: datetime
    owner: str = ""


class InboundRecord(Contract):
    """A stored event, as lists show it."""

    source: str
    event_id: str
    type: str | None
    state: InboundState
    attempts: int = 0
    last_error: str | None = None
    size: int
    """Bytes."""
    received_at: datetime
    finished_at: datetime | None = None


class Burial(Contract):
    """Says that an event's job has failed for good."""

    source: str
    event_id: str
    error: str


class Unstarted(Contract):
    """A stored event that has no job."""

    job: ProcessWebhook
    owner: str


class Sweep(Contract):
    """What one sweep of stored events did."""

    started: list[Unstarted] = Field(default_factory=list)
    """Events that were stored while Temporal was away."""
    pruned: int = 0
    """Rows past their 30 days."""


def job_key(source: str, event_id: str) -> str:
    """Return the key of an event's job: source and id, or a hash where the id can't stand in one.

    The same event has the same job, however often it is sent.
    """
    plain = f"{source}:{event_id}"
    if len(plain) <= JOB_KEY_CHARACTERS and PLAIN_KEY.issuperset(event_id):
        return plain
    return f"{source}:sha256-{hashlib.sha256(event_id.encode()).hexdigest()[:40]}"


HANDLE: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=10),
        maximum_attempts=10,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

BURY: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=30,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

SWEEP: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=5,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

SWEEP_WORKFLOW: Final = "SweepWebhooks"
"""System workflow, to be scheduled each minute."""
SWEEP_INTERVAL: Final = timedelta(minutes=1)

WEBHOOK: Final = JobKind(
    name="webhook",
    workflow="ProcessWebhook",
    input=ProcessWebhook,
    result=WebhookOutcome,
    queue=Queue.WEBHOOKS,
    deadline=timedelta(hours=6),
    steps={"webhooks.handle": HANDLE, "webhooks.bury": BURY},
    summarize=lambda job: f"event from **{job.source}**",
    example={"source": "github", "event_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
)

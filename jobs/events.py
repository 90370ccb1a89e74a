"""Event jobs: something happened, and every subscribed endpoint is told.

Queue ``webhooks``. One step stores the event's bytes and selects the owner's endpoints; then one
``delivery`` job starts per endpoint, and this one waits for them and counts. The event's id is its
job id, and the ``webhook-id`` that receivers see.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, Field, JsonValue, model_validator
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.base import (
    NEVER_RETRIED,
    Contract,
    Identifier,
    JobKind,
    Personal,
    Queue,
    StoredFile,
)
from jobs.endpoints import EVENT_TYPE
from jobs.errors import PermanentError

MAX_PAYLOAD_BYTES: Final = 64 * 1024
LINK_LIFETIME: Final = timedelta(days=7)
"""How long a thin event's link works where storage makes links; the longest that S3 allows."""

MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_:\-]{1,64}")
TEST_EVENT: Final = "webhook.test"


class EventPayloadMissing(PermanentError):
    """The object that ``payload_ref`` names is not in storage."""


class PublishEvent(Contract):
    """Something that happened."""

    event_type: Annotated[str, Field(pattern=EVENT_TYPE, max_length=128)]
    """Dot-separated words, ``invoice.paid``."""
    payload: Annotated[dict[str, JsonValue] | None, Personal] = None
    """The event's data, up to 64 KiB; below 20 KiB is kind to receivers. Give this or
    ``payload_ref``."""
    payload_ref: StoredFile | None = None
    """Key of larger data in storage; receivers get a link."""
    occurred_at: AwareDatetime | None = None
    """When it happened. Default: when the job began."""
    endpoint_ids: Annotated[list[Identifier], Field(min_length=1, max_length=100)] | None = None
    """Only these endpoints, whatever they subscribe to. Default: all that subscribe."""

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if (self.payload is None) == (self.payload_ref is None):
            msg = "give one of 'payload' and 'payload_ref'"
            raise ValueError(msg)
        if self.payload is not None:
            size = len(canonical(self.payload))
            if size > MAX_PAYLOAD_BYTES:
                msg = (
                    f"the payload has {size:,} bytes, {MAX_PAYLOAD_BYTES:,} are allowed: put it "
                    "into storage and give its key as 'payload_ref'"
                )
                raise ValueError(msg)
        return self


class EventReceipt(Contract):
    """What became of an event's deliveries."""

    event_id: str
    """The ``webhook-id`` of every request."""
    endpoints: int
    delivered: int = 0
    failed: int = 0
    cancelled: int = 0
    begun_before: int = 0
    """Deliveries that an earlier run of this job had begun; they are not counted again."""


class Publication(Contract):
    """What the step that records an event is told."""

    event_id: str
    owner: str
    occurred_at: datetime
    event: PublishEvent


class Target(Contract):
    """An endpoint that gets an event."""

    endpoint_id: str
    schedule: list[timedelta]


class Fanout(Contract):
    """Where an event goes."""

    targets: list[Target]
    refused: int = 0
    """Ordered endpoints whose queue is full: recorded there as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An event as it is stored and sent."""

    id: str
    owner: str
    type: str
    occurred_at: datetime
    full_body: bytes | None
    """Null where the data are in storage only."""
    thin_body: bytes | None
    """Null where no endpoint wants it."""
    payload_key: str | None = None
    """Where the data lie for receivers that fetch them."""


def message_id(job_id: str) -> str:
    """Return the ``webhook-id`` of an event's job: its id, or a hash where that has a dot."""
    if MESSAGE_ID.fullmatch(job_id):
        return job_id
    return f"event-{hashlib.sha256(job_id.encode()).hexdigest()[:40]}"


def payload_key(event_id: str) -> str:
    """Return where an event's data lie for receivers that fetch them."""
    return f"events/{event_id}/payload.json"


def canonical(data: Any) -> bytes:
    """Return ``data`` as the JSON bytes that are stored, signed and sent."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def full_body(event_type: str, occurred_at: datetime, data: Any) -> bytes:
    """Return a request's body with the event's data."""
    return canonical({"type": event_type, "timestamp": written(occurred_at), "data": data})


def thin_body(event_id: str, event_type: str, occurred_at: datetime, url: str) -> bytes:
    """Return a request's body with a link instead of data."""
    return canonical(
        {"id": event_id, "type": event_type, "timestamp": written(occurred_at), "url": url}
    )


def written(instant: datetime) -> str:
    """Return an instant in ISO 8601, UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


PUBLISH: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=5),
        maximum_attempts=50,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)
"""Goes on for three hours while database or storage are away: an accepted event is not lost."""

EVENT: Final = JobKind(
    name="event",
    workflow="PublishEvent",
    input=PublishEvent,
    result=EventReceipt,
    queue=Queue.WEBHOOKS,
    deadline=timedelta(days=31),
    steps={"events.publish": PUBLISH},
    summarize=lambda job: f"event **{job.event_type}**",
    example={
        "event_type": "invoice.paid",
        "payload": {"invoice": "in_1", "amount_minor": 4200, "currency": "EUR"},
    },
)

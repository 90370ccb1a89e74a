"""The log of deliveries: what their owner reads, and what passes between step and log."""

from dataclasses import dataclass, field
from datetime import datetime

from jobs.base import Contract
from jobs.deliveries import DeliveryState
from jobs.deliveries.answers import Answer


class AttemptRecord(Contract):
    """One attempt of a delivery."""

    number: int
    started_at: datetime
    answer: Answer | None = None
    """Null while it is under way, and for ever when its worker was lost."""


class DeliveryRecord(Contract):
    """One event's delivery to one endpoint."""

    id: str
    """Of the delivery's job."""
    event_id: str
    event_type: str
    endpoint_id: str
    state: DeliveryState
    attempts: int
    last_status: int | None = None
    last_error: str | None = None
    next_attempt_at: datetime | None = None
    occurred_at: datetime
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Leave to send an attempt, and what to send; the secrets are not shown."""

    token: str
    """Of this leave: only its holder may record the attempt."""
    url: str
    body: bytes = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    timeout_s: int

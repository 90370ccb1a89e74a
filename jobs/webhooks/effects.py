"""What handlers do, as it passes between handler and database."""

from dataclasses import dataclass
from datetime import datetime

from jobs.errors import TransientError


class OrderUnknown(TransientError):
    """The payment's order isn't there yet: senders don't promise order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Names what a handler does for one event; it is done once under this name."""

    handler: str
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Commits that were pushed to a branch or tag."""

    repository: str
    ref: str
    before: str
    after: str
    commits: int
    pushed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """An invoice that was paid."""

    order_id: str
    amount_minor: int
    currency: str

"""What a receiver's answer means for the delivery and for its endpoint.

| answer | delivery | endpoint |
| --- | --- | --- |
| 2xx | delivered | healthy |
| 410 | failed | disabled |
| 429, 503 with Retry-After | waits at least so long | paused until then |
| 429 without, 502, 504 | waits | one attempt at a time until the next success |
| 3xx, other 4xx, other 5xx, no answer | waits | |
| address refused | failed | |
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from pydantic import Field

from jobs.base import Contract
from jobs.endpoints import MAX_DELAY

OK: Final = range(200, 300)
GONE: Final = 410
ASKS_FOR_PAUSE: Final = {429, 503}
OVERLOADED: Final = {429, 502, 504}
ADDRESS_REFUSED: Final = "EndpointAddressRefused"


class Answer(Contract):
    """One HTTP exchange: what came back, or what prevented it."""

    status: int | None = None
    error_type: str | None = None
    """Class of what went wrong before a whole answer was there."""
    error: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    """``content-type``, ``retry-after`` and ``location`` only."""
    text: str = ""
    """The first KiB, control characters removed."""
    remote_address: str | None = None
    connect_ms: float | None = None
    """Name lookup and connection; null on a kept connection."""
    first_byte_ms: float | None = None
    total_ms: float = 0.0
    sent_bytes: int = 0
    sent_at: int = 0
    """The ``webhook-timestamp``."""


class Meaning(StrEnum):
    """What an answer comes to."""

    DELIVERED = "delivered"
    GONE = "gone"
    REFUSED = "refused"
    """By our own guard: no further attempt can succeed."""
    FAILED = "failed"


class Verdict(Contract):
    """An answer, judged."""

    meaning: Meaning
    retry_after: timedelta | None = None
    overloaded: bool = False
    reason: str = ""
    """For the log, in words."""


def judge(answer: Answer, now: datetime) -> Verdict:
    """Say what ``answer`` means."""
    if answer.error_type == ADDRESS_REFUSED:
        return Verdict(meaning=Meaning.REFUSED, reason=answer.error or "")
    if answer.status is None or answer.error_type is not None:
        return Verdict(meaning=Meaning.FAILED, reason=answer.error or "no answer")
    if answer.status in OK:
        return Verdict(meaning=Meaning.DELIVERED)
    if answer.status == GONE:
        return Verdict(meaning=Meaning.GONE, reason="HTTP 410: gone")
    pause = None
    if answer.status in ASKS_FOR_PAUSE:
        pause = read_retry_after(answer.headers.get("retry-after"), now)
    return Verdict(
        meaning=Meaning.FAILED,
        retry_after=pause,
        overloaded=answer.status in OVERLOADED and pause is None,
        reason=f"HTTP {answer.status}",
    )


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Return how long a Retry-After header asks to wait, at most a day; None if it says nothing.

    Digits, or a date of HTTP, which is GMT if it names no zone.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:12]), MAX_DELAY.total_seconds()))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), MAX_DELAY)

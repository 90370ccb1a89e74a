"""The door for inbound webhooks: verify, store, start, answer.

| answer | when |
| --- | --- |
| 202 | stored; the job is started, or will be by the sweeper if Temporal is away |
| 200 | stored before: a repetition; or Slack's ``url_verification``, whose challenge is echoed |
| 400 | not of the scheme's shape, or not strict JSON |
| 401 | no valid signature, or a time-stamp too far from now; the same answer for both |
| 404 | no such source |
| 413 | body too large |
| 415 | body compressed, or of another content type |
| 429 | more requests than the source is allowed |
| 503 | the database is away: the sender should come again |

The checks run in this order: source, rate, size, encoding and type, signature over the raw bytes,
JSON, id. After the 202 nothing is lost: the event is in the database before it is said. No answer
says anything that helps a forger; the reason goes to the log.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from jobs.errors import ConveyorError, TransientError
from jobs.signatures.schemes import Headers, MalformedRequest, Scheme, SignatureRefused
from jobs.webhooks import InboundRecord, InboundState, ProcessWebhook, job_key
from jobs.webhooks.parsing import identify, parse_body
from jobs.webhooks.sources import WebhookSource

log: Final = logging.getLogger(__name__)

INLINE_BYTES: Final = 65_536
"""Bodies up to this size lie in the event's row: one write, all or nothing. Larger ones go to
storage first."""
KEPT_HEADERS: Final = ("content-type", "user-agent", "x-github-event", "x-github-delivery")
WINDOW_S: Final = 60.0
IDENTITY: Final = {"", "identity"}


class Refusal(StrEnum):
    """Why a request was not accepted, for logs and counters."""

    UNKNOWN_SOURCE = "unknown_source"
    RATE = "rate"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    CONTENT_TYPE = "content_type"
    MALFORMED = "malformed"
    SIGNATURE = "signature"
    UNAVAILABLE = "unavailable"


STATUS: Final = {
    Refusal.UNKNOWN_SOURCE: 404,
    Refusal.RATE: 429,
    Refusal.TOO_LARGE: 413,
    Refusal.ENCODED: 415,
    Refusal.CONTENT_TYPE: 415,
    Refusal.MALFORMED: 400,
    Refusal.SIGNATURE: 401,
    Refusal.UNAVAILABLE: 503,
}
ACCEPTED: Final = 202
KNOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What to answer a sender."""

    status: int
    """HTTP status."""
    id: str | None = None
    """The event's id, where it was accepted."""
    duplicate: bool = False
    refusal: Refusal | None = None
    challenge: str | None = None
    """Slack's, to be sent back."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer's JSON body."""
        if self.challenge is not None:
            return {"challenge": self.challenge}
        return {} if self.id is None else {"id": self.id, "duplicate": self.duplicate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A verified event to be stored."""

    source: str
    event_id: str
    owner: str
    type: str
    content_type: str
    headers: Mapping[str, str]
    size: int
    body: bytes | None
    """Null where it lies in storage."""
    body_key: str | None
    received_at: datetime


class InboundStore(Protocol):
    """What the door needs from the database."""

    async def add(self, arrival: Arrival) -> bool:
        """Store an event; return False, and change nothing, if it is there."""
        ...

    async def started(self, source: str, event_id: str) -> None:
        """Note that the event's job is started."""
        ...

    async def find(self, source: str, event_id: str) -> InboundRecord | None:
        """Return a stored event."""
        ...

    async def set_state(self, source: str, event_id: str, state: InboundState) -> None:
        """Move a stored event to another state."""
        ...


class BodyStore(Protocol):
    """What the door needs from storage."""

    async def put(self, key: str, data: bytes, *, create: bool = False) -> object:
        """Store ``data``; with ``create``, an object that is there counts as done."""
        ...


class JobStarter(Protocol):
    """What the door needs to start jobs."""

    async def start(self, job: ProcessWebhook, key: str, owner: str) -> None:
        """Start the event's job; if there is one already, that is fine.

        Raises:
            ConveyorError: Temporal is away.
        """
        ...


@dataclass(slots=True)
class RateWindow:
    """Counts the requests of the last minute."""

    limit: int
    times: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        """Count a request, unless there were too many."""
        while self.times and self.times[0] <= now - WINDOW_S:
            self.times.popleft()
        if len(self.times) >= self.limit:
            return False
        self.times.append(now)
        return True


class InboundDoor:
    """Takes requests of senders; the command line and the HTTP API are thin over it.

    Args:
        sources: Who may send, by name.
        store: Keeps events.
        bodies: Keeps large bodies.
        starter: Starts jobs.
        clock: Unix seconds now.
    """

    def __init__(
        self,
        sources: Mapping[str, WebhookSource],
        store: InboundStore,
        bodies: BodyStore,
        starter: JobStarter,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._store = store
        self._bodies = bodies
        self._starter = starter
        self._clock = clock
        self._rates = {name: RateWindow(source.rate_per_minute) for name, source in sources.items()}

    def max_bytes(self, source: str) -> int | None:
        """Return the largest body of a source, or None for an unknown one: read no more."""
        known = self._sources.get(source)
        return None if known is None else known.max_bytes

    async def receive(
        self,
        source: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes,
    ) -> Receipt:
        """Take one request and say what to answer; raises nothing for what a sender does wrong."""
        known = self._sources.get(source)
        if known is None:
            return self._refuse(source, Refusal.UNKNOWN_SOURCE)
        if not self._rates[source].admit(self._clock()):
            return self._refuse(source, Refusal.RATE)
        if len(body) > known.max_bytes:
            return self._refuse(source, Refusal.TOO_LARGE)
        try:
            return await self._take(source, known, Headers(headers), body)
        except MalformedRequest as error:
            return self._refuse(source, Refusal.MALFORMED, error)
        except SignatureRefused as error:
            return self._refuse(source, Refusal.SIGNATURE, error)
        except TransientError as error:
            return self._refuse(source, Refusal.UNAVAILABLE, error)

    async def _take(
        self, name: str, source: WebhookSource, headers: Headers, raw: bytes
    ) -> Receipt:
        if (headers.get("content-encoding") or "").strip().lower() not in IDENTITY:
            return self._refuse(name, Refusal.ENCODED)
        content_type = (headers.get("content-type") or "").partition(";")[0].strip().lower()
        if content_type not in source.content_types:
            return self._refuse(name, Refusal.CONTENT_TYPE)
        source.verify(headers, raw, self._clock())
        small = len(raw) <= INLINE_BYTES
        body = parse_body(raw) if small else await asyncio.to_thread(parse_body, raw)
        if source.scheme is Scheme.SLACK and body.get("type") == "url_verification":
            return Receipt(status=KNOWN, challenge=str(body.get("challenge", ""))[:256])
        event_id, event_type = identify(source, headers, raw, body)
        key = None
        if not small:
            key = f"hooks/{job_key(name, event_id).replace(':', '/')}.json"
            await self._bodies.put(key, raw, create=True)
        arrival = Arrival(
            source=name,
            event_id=event_id,
            owner=source.owner,
            type=event_type,
            content_type=content_type,
            headers={kept: headers.get(kept) or "" for kept in KEPT_HEADERS if headers.get(kept)},
            size=len(raw),
            body=None if key else raw,
            body_key=key,
            received_at=datetime.fromtimestamp(self._clock(), UTC),
        )
        new = await self._store.add(arrival)
        if new:
            await self._start(ProcessWebhook(source=name, event_id=event_id), source.owner)
        return Receipt(status=ACCEPTED if new else KNOWN, id=event_id, duplicate=not new)

    async def _start(self, job: ProcessWebhook, owner: str) -> None:
        """Start the job; if Temporal is away the sweeper will."""
        try:
            await self._starter.start(job, job_key(job.source, job.event_id), owner)
        except ConveyorError:
            log.warning("an event is stored; its job starts when Temporal is back")
            return
        await self._store.started(job.source, job.event_id)

    def _refuse(self, source: str, refusal: Refusal, error: Exception | None = None) -> Receipt:
        shown = source if source in self._sources else "?"
        facts = {"source": shown, "refusal": refusal.value, "reason": str(error or "")}
        log.warning("a webhook was refused", extra=facts)
        return Receipt(status=STATUS[refusal], refusal=refusal)

    async def replay(self, source: str, event_id: str) -> bool:
        """Handle a dead letter again; False if there is none of that id."""
        return await self._leave_death(source, event_id, InboundState.RECEIVED)

    async def discard(self, source: str, event_id: str) -> bool:
        """Decide that a dead letter is not handled; False if there is none of that id."""
        return await self._leave_death(source, event_id, InboundState.DISCARDED)

    async def _leave_death(self, source: str, event_id: str, state: InboundState) -> bool:
        record = await self._store.find(source, event_id)
        if record is None or record.state is not InboundState.DEAD:
            return False
        await self._store.set_state(source, event_id, state)
        if state is InboundState.RECEIVED:
            owner = self._sources[source].owner if source in self._sources else ""
            await self._start(ProcessWebhook(source=source, event_id=event_id), owner)
        return True

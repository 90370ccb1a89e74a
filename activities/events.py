"""The step of the event job: store the event, and say where it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from temporalio import activity

from activities.clock import ServerClock
from activities.progress import report
from jobs.endpoints import Endpoint, PayloadFormat
from jobs.events import (
    LINK_LIFETIME,
    EventPayloadMissing,
    EventRecord,
    Fanout,
    Publication,
    canonical,
    full_body,
    payload_key,
    thin_body,
)
from jobs.files import StoredObject


class EventLog(Protocol):
    """What this step needs from the database."""

    async def select(
        self, owner: str, event_type: str, only: Sequence[str] | None
    ) -> Sequence[Endpoint]:
        """Return the endpoints that get an event of that type."""
        ...

    async def record(
        self, event: EventRecord, targets: Sequence[Endpoint], now: datetime
    ) -> Fanout:
        """Store the event and its deliveries."""
        ...


class PayloadFiles(Protocol):
    """What this step needs from storage."""

    async def put(self, key: str, data: bytes, *, create: bool = False) -> StoredObject:
        """Store ``data``; with ``create``, an object that is there counts as done."""
        ...

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is stored under ``key``."""
        ...

    async def download_url(self, key: str, ttl: timedelta) -> str | None:
        """Return a link to the object, or None where storage makes none."""
        ...


@dataclass(frozen=True, slots=True)
class EventActivities:
    """The step of the event job."""

    log: EventLog
    files: PayloadFiles
    public_url: str
    """Of the HTTP API, which serves payloads where storage makes no links."""

    @activity.defn(name="events.publish")
    async def publish(self, publication: Publication) -> Fanout:
        """Store the event's bytes, which every attempt sends, and return its endpoints.

        Idempotent by the event's id: the first bytes and deliveries stay.

        Raises:
            EventPayloadMissing: There is no object of that key in storage.
        """
        clock, event = ServerClock(), publication.event
        targets = await self.log.select(publication.owner, event.event_type, event.endpoint_ids)
        report(1, 2, message=f"{len(targets)} endpoints")
        key = await self._payload_key(publication, targets)
        record = EventRecord(
            id=publication.event_id,
            owner=publication.owner,
            type=event.event_type,
            occurred_at=publication.occurred_at,
            full_body=None
            if event.payload is None
            else full_body(event.event_type, publication.occurred_at, event.payload),
            thin_body=None if key is None else await self._thin_body(publication, key),
            payload_key=key,
        )
        return await self.log.record(record, targets, clock.now())

    async def _payload_key(
        self, publication: Publication, targets: Sequence[Endpoint]
    ) -> str | None:
        """Return where the data lie for receivers that fetch them; None if none does."""
        event = publication.event
        if event.payload_ref is not None:
            if await self.files.stat(event.payload_ref) is None:
                msg = "payload_ref: there is no such object in storage"
                raise EventPayloadMissing(msg)
            return event.payload_ref
        if not any(endpoint.format is PayloadFormat.THIN for endpoint in targets):
            return None
        key = payload_key(publication.event_id)
        await self.files.put(key, canonical(event.payload), create=True)
        return key

    async def _thin_body(self, publication: Publication, key: str) -> bytes:
        link = await self.files.download_url(key, LINK_LIFETIME)
        own = f"{self.public_url.rstrip('/')}/v1/events/{publication.event_id}/payload"
        return thin_body(
            publication.event_id, publication.event.event_type, publication.occurred_at, link or own
        )

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.publish,)

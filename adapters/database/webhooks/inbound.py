"""Events that came in: stored before they are acknowledged, kept 30 days."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, to_micros
from adapters.database.webhooks.tables import inbound, processed_effects
from jobs.webhooks import WEBHOOK, InboundRecord, InboundState, ProcessWebhook, Unstarted
from jobs.webhooks.door import Arrival
from jobs.webhooks.stored import Pruned, StoredEvent

GRACE: Final = timedelta(seconds=30)
"""So old must an event be before the sweep starts its job: the door may be about to."""
LOST_AFTER: Final = WEBHOOK.deadline + timedelta(hours=1)
"""An event that is open for so long has lost its job."""
SWEPT_AT_ONCE: Final = 200
OPEN: Final = (InboundState.RECEIVED, InboundState.PROCESSING)
MAX_ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class InboundEvents:
    """The events that came in, in the application database."""

    database: Database

    async def add(self, arrival: Arrival) -> bool:
        """Store an event; return False, and change nothing, if it is there."""
        row = self.database.insert(inbound).values(
            source=arrival.source,
            event_id=arrival.event_id,
            owner=arrival.owner,
            type=arrival.type,
            state=InboundState.RECEIVED,
            started=False,
            attempts=0,
            content_type=arrival.content_type,
            headers=json.dumps(dict(arrival.headers)),
            size=arrival.size,
            body=arrival.body,
            body_key=arrival.body_key,
            received_at=to_micros(arrival.received_at),
        )
        async with self.database.begin() as connection:
            added = await connection.execute(row.on_conflict_do_nothing())
        return added.rowcount == 1

    async def started(self, source: str, event_id: str) -> None:
        """Note that the event's job is started."""
        async with self.database.begin() as connection:
            await connection.execute(
                update(inbound).where(_is(source, event_id)).values(started=True)
            )

    async def open(self, source: str, event_id: str) -> StoredEvent | None:
        """Return a stored event, and count an attempt to handle it."""
        counting = (
            update(inbound)
            .where(_is(source, event_id), inbound.c.state != InboundState.DISCARDED)
            .values(attempts=inbound.c.attempts + 1, state=InboundState.PROCESSING, started=True)
        )
        async with self.database.begin() as connection:
            await connection.execute(counting)
            row = (await connection.execute(select(inbound).where(_is(source, event_id)))).first()
        if row is None:
            return None
        return StoredEvent(
            source=row.source,
            event_id=row.event_id,
            owner=row.owner,
            type=row.type,
            state=InboundState(row.state),
            body=row.body,
            body_key=row.body_key,
            received_at=from_micros(row.received_at),
        )

    async def finish(
        self, source: str, event_id: str, state: InboundState, error: str | None, now: datetime
    ) -> None:
        """Record what became of an event; a discarded one stays discarded."""
        change = (
            update(inbound)
            .where(_is(source, event_id), inbound.c.state != InboundState.DISCARDED)
            .values(
                state=state,
                last_error=error[:MAX_ERROR_CHARACTERS] if error else None,
                finished_at=to_micros(now),
            )
        )
        async with self.database.begin() as connection:
            await connection.execute(change)

    async def find(self, source: str, event_id: str) -> InboundRecord | None:
        """Return a stored event as lists show it."""
        query = select(inbound).where(_is(source, event_id))
        async with self.database.snapshot() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _record(row)

    async def list(
        self,
        *,
        source: str | None = None,
        state: InboundState | None = None,
        limit: int = 100,
    ) -> Sequence[InboundRecord]:
        """Return stored events, newest first."""
        query = select(inbound)
        if source is not None:
            query = query.where(inbound.c.source == source)
        if state is not None:
            query = query.where(inbound.c.state == state)
        newest = (inbound.c.received_at.desc(), inbound.c.event_id)
        async with self.database.snapshot() as connection:
            rows = await connection.execute(query.order_by(*newest).limit(limit))
            return [_record(row) for row in rows]

    async def set_state(self, source: str, event_id: str, state: InboundState) -> None:
        """Move a stored event to another state; one to be handled again counts as not started."""
        values: dict[str, Any] = {"state": state}
        if state is InboundState.RECEIVED:
            values |= {"started": False, "finished_at": None, "last_error": None}
        async with self.database.begin() as connection:
            await connection.execute(update(inbound).where(_is(source, event_id)).values(values))

    async def unstarted(self, now: datetime) -> Sequence[Unstarted]:
        """Return events whose jobs were never started, or were lost."""
        never = and_(inbound.c.started.is_(False), inbound.c.received_at < to_micros(now - GRACE))
        lost = inbound.c.received_at < to_micros(now - LOST_AFTER)
        query = (
            select(inbound.c.source, inbound.c.event_id, inbound.c.owner)
            .where(inbound.c.state.in_(OPEN), or_(never, lost))
            .order_by(inbound.c.received_at)
            .limit(SWEPT_AT_ONCE)
        )
        async with self.database.snapshot() as connection:
            return [
                Unstarted(
                    job=ProcessWebhook(source=row.source, event_id=row.event_id), owner=row.owner
                )
                for row in await connection.execute(query)
            ]

    async def prune(self, before: datetime) -> Pruned:
        """Delete events, and the keys of their effects, from before that instant."""
        instant = to_micros(before)
        old = inbound.c.received_at < instant
        async with self.database.begin() as connection:
            stored = await connection.execute(
                select(inbound.c.body_key).where(old, inbound.c.body_key.is_not(None))
            )
            keys = list(stored.scalars())
            gone = await connection.execute(delete(inbound).where(old))
            await connection.execute(
                delete(processed_effects).where(processed_effects.c.processed_at < instant)
            )
        return Pruned(gone.rowcount, keys)


def _is(source: str, event_id: str) -> ColumnElement[bool]:
    return and_(inbound.c.source == source, inbound.c.event_id == event_id)


def _record(row: Row[Any]) -> InboundRecord:
    finished = row.finished_at
    return InboundRecord.model_validate(
        {
            **row._mapping,
            "received_at": from_micros(row.received_at),
            "finished_at": None if finished is None else from_micros(finished),
        }
    )

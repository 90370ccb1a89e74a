"""Events that were published, and the deliveries they begin with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.webhooks.endpoints import read_endpoint
from adapters.database.webhooks.tables import deliveries, endpoints, events
from jobs.deliveries import MAX_ORDERED_QUEUE, DeliveryState
from jobs.endpoints import Endpoint, EndpointState, subscribes
from jobs.events import EventRecord, Fanout, Target
from jobs.webhooks.stored import Pruned

OPEN: Final = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.WAITING)


@dataclass(frozen=True, slots=True)
class Events:
    """The published events in the application database."""

    database: Database

    async def select(
        self, owner: str, event_type: str, only: Sequence[str] | None
    ) -> Sequence[Endpoint]:
        """Return the endpoints of ``owner`` that get an event of that type."""
        query = select(endpoints).where(
            endpoints.c.owner == owner, endpoints.c.state != EndpointState.DISABLED
        )
        if only is not None:
            query = query.where(endpoints.c.id.in_(only))
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(query.order_by(endpoints.c.id))).all()
        found = [read_endpoint(row) for row in rows]
        return [
            endpoint
            for endpoint in found
            if only is not None or subscribes(endpoint.event_types, event_type)
        ]

    async def record(
        self, event: EventRecord, targets: Sequence[Endpoint], now: datetime
    ) -> Fanout:
        """Store the event and its deliveries; repeating it changes nothing."""
        async with self.database.begin() as connection:
            await connection.execute(
                self.database.insert(events)
                .values(
                    id=event.id,
                    owner=event.owner,
                    type=event.type,
                    occurred_at=to_micros(event.occurred_at),
                    full_body=event.full_body,
                    thin_body=event.thin_body,
                    payload_key=event.payload_key,
                    created_at=to_micros(now),
                )
                .on_conflict_do_nothing()
            )
            full = [e.id for e in targets if e.ordered and await _is_full(connection, e.id)]
            rows = [
                {
                    "id": delivery_id(event.id, endpoint.id),
                    "event_id": event.id,
                    "endpoint_id": endpoint.id,
                    "event_type": event.type,
                    "occurred_at": to_micros(event.occurred_at),
                    "state": DeliveryState.FAILED if endpoint.id in full else DeliveryState.PENDING,
                    "attempts": 0,
                    "last_error": f"{MAX_ORDERED_QUEUE:,} deliveries wait in the endpoint's queue"
                    if endpoint.id in full
                    else None,
                    "created_at": to_micros(now),
                }
                for endpoint in targets
            ]
            if rows:
                insert = self.database.insert(deliveries).on_conflict_do_nothing()
                await connection.execute(insert, rows)
        return Fanout(
            targets=[
                Target(endpoint_id=endpoint.id, schedule=endpoint.schedule)
                for endpoint in targets
                if endpoint.id not in full
            ],
            refused=len(full),
        )

    async def payload_of(self, owner: str, event_id: str) -> str | None:
        """Return where the data of an event of ``owner``'s lie, if they lie in storage."""
        query = select(events.c.payload_key).where(events.c.id == event_id, events.c.owner == owner)
        async with self.database.snapshot() as connection:
            key: str | None = (await connection.execute(query)).scalar()
        return key

    async def prune(self, before: datetime) -> Pruned:
        """Delete events from before that instant, with their deliveries and attempts."""
        old = events.c.created_at < to_micros(before)
        ours = (events.c.full_body.is_not(None), events.c.payload_key.is_not(None))
        async with self.database.begin() as connection:
            stored = await connection.execute(select(events.c.payload_key).where(old, *ours))
            keys = [str(key) for key in stored.scalars()]
            gone = await connection.execute(delete(events).where(old))
        return Pruned(gone.rowcount, keys)


def delivery_id(event_id: str, endpoint_id: str) -> str:
    """Return the job id of an event's delivery to an endpoint."""
    return f"delivery-{event_id}:{endpoint_id}"


async def _is_full(connection: AsyncConnection, endpoint_id: str) -> bool:
    query = select(func.count()).where(
        deliveries.c.endpoint_id == endpoint_id, deliveries.c.state.in_(OPEN)
    )
    return int((await connection.execute(query)).scalar_one()) >= MAX_ORDERED_QUEUE

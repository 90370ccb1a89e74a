"""Deliveries and their attempts, to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, to_micros
from adapters.database.webhooks.tables import attempts, deliveries
from jobs.deliveries import DeliveryState
from jobs.deliveries.answers import Answer
from jobs.deliveries.records import AttemptRecord, DeliveryRecord

MISSED: Final = (DeliveryState.FAILED, DeliveryState.ENDPOINT_DISABLED)


@dataclass(frozen=True, slots=True)
class DeliveryBook:
    """Reads deliveries and their attempts from the application database."""

    database: Database

    async def of_endpoint(
        self, endpoint_id: str, *, state: DeliveryState | None = None, limit: int = 100
    ) -> Sequence[DeliveryRecord]:
        """Return deliveries to an endpoint, newest first."""
        query = select(deliveries).where(deliveries.c.endpoint_id == endpoint_id)
        if state is not None:
            query = query.where(deliveries.c.state == state)
        query = query.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit)
        async with self.database.snapshot() as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def missed(
        self,
        endpoint_id: str,
        *,
        since: datetime | None = None,
        event_type: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeliveryRecord]:
        """Return deliveries that failed and were not made again since, oldest first."""
        other = deliveries.alias()
        again = (
            select(other.c.id)
            .where(
                other.c.event_id == deliveries.c.event_id,
                other.c.endpoint_id == deliveries.c.endpoint_id,
                other.c.created_at > deliveries.c.created_at,
            )
            .exists()
        )
        query = select(deliveries).where(
            deliveries.c.endpoint_id == endpoint_id, deliveries.c.state.in_(MISSED), ~again
        )
        if since is not None:
            query = query.where(deliveries.c.created_at >= to_micros(since))
        if event_type is not None:
            query = query.where(deliveries.c.event_type == event_type)
        oldest = (deliveries.c.occurred_at, deliveries.c.id)
        async with self.database.snapshot() as connection:
            rows = await connection.execute(query.order_by(*oldest).limit(limit))
            return [_delivery(row) for row in rows]

    async def find(self, delivery_id: str) -> DeliveryRecord | None:
        """Return one delivery."""
        query = select(deliveries).where(deliveries.c.id == delivery_id)
        async with self.database.snapshot() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _delivery(row)

    async def attempts_of(self, delivery_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts of a delivery, first to last."""
        query = select(attempts).where(attempts.c.delivery_id == delivery_id)
        async with self.database.snapshot() as connection:
            return [
                AttemptRecord(
                    number=row.number,
                    started_at=from_micros(row.started_at),
                    answer=None if row.answer is None else Answer.model_validate_json(row.answer),
                )
                for row in await connection.execute(query.order_by(attempts.c.started_at))
            ]


def _delivery(row: Row[Any]) -> DeliveryRecord:
    instants = {
        name: None if row._mapping[name] is None else from_micros(row._mapping[name])
        for name in ("next_attempt_at", "occurred_at", "created_at", "finished_at")
    }
    return DeliveryRecord.model_validate({**row._mapping, **instants})

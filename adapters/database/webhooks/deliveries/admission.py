"""Whether an attempt may begin now: the endpoint's state, circuit, order and rate."""

import random
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.metadata import from_micros, to_micros
from adapters.database.webhooks.endpoints import fetch_endpoint, read_endpoint
from adapters.database.webhooks.events import OPEN
from adapters.database.webhooks.tables import attempts, deliveries, events
from jobs.deliveries import Attempt, AttemptOutcome, DeliveryState
from jobs.deliveries.breaker import Hindrance, hindrance
from jobs.endpoints import EndpointState

PAUSED_RETRY: Final = timedelta(minutes=1)
ABANDONED: Final = timedelta(hours=24)
"""An ordered endpoint's first delivery that long overdue holds up the rest no more: its job was
terminated."""
REMOVED: Final = AttemptOutcome(
    state=DeliveryState.ENDPOINT_DISABLED,
    error="the endpoint was removed",
    error_type="EndpointDisabled",
)


async def admit(
    connection: AsyncConnection, attempt: Attempt, now: datetime, *, lock: bool = False
) -> Row[Any] | AttemptOutcome | Hindrance:
    """Return the endpoint's row if the attempt may begin; else its outcome, or what holds it up.

    With ``lock`` the row stays as it is until the transaction ends.
    """
    row = await fetch_endpoint(connection, attempt.endpoint_id, lock=lock)
    made = await made_before(connection, attempt)
    if made is not None:
        return made
    if row is None:
        return REMOVED
    endpoint = read_endpoint(row)
    if endpoint.state is EndpointState.DISABLED:
        return AttemptOutcome(
            state=DeliveryState.ENDPOINT_DISABLED,
            error=f"the endpoint is disabled: {endpoint.disabled_reason}",
            error_type="EndpointDisabled",
        )
    if endpoint.state is EndpointState.PAUSED:
        return Hindrance(reason="the endpoint is paused", retry_after=PAUSED_RETRY)
    in_flight = await _in_flight(connection, attempt, now)
    held_up = hindrance(endpoint, in_flight, now, forced=attempt.forced)
    if held_up is None and endpoint.ordered:
        held_up = await _behind_another(connection, attempt, now)
    if held_up is None and endpoint.rate_per_s and (row.next_send_at or 0) > to_micros(now):
        wait = from_micros(row.next_send_at) - now
        held_up = Hindrance(reason="the endpoint's rate is used up", retry_after=wait)
    return held_up or row


def this_one(attempt: Attempt) -> ColumnElement[bool]:
    """Return the condition that a row is this attempt's."""
    return and_(
        attempts.c.delivery_id == attempt.delivery_id,
        attempts.c.run_id == attempt.run_id,
        attempts.c.number == attempt.number,
    )


async def made_before(connection: AsyncConnection, attempt: Attempt) -> AttemptOutcome | None:
    """Return what the attempt came to, if it was made before."""
    query = select(attempts.c.outcome).where(this_one(attempt), attempts.c.sending.is_(False))
    stored = (await connection.execute(query)).scalar()
    if stored is None:
        return None
    return AttemptOutcome.model_validate_json(stored).model_copy(update={"repeated": True})


async def _in_flight(connection: AsyncConnection, attempt: Attempt, now: datetime) -> int:
    query = select(func.count()).where(
        attempts.c.endpoint_id == attempt.endpoint_id,
        attempts.c.sending.is_(True),
        attempts.c.lease_until > to_micros(now),
        attempts.c.delivery_id != attempt.delivery_id,
    )
    return int((await connection.execute(query)).scalar_one())


async def _behind_another(
    connection: AsyncConnection, attempt: Attempt, now: datetime
) -> Hindrance | None:
    """Return a hindrance while an earlier event is not delivered to this ordered endpoint."""
    mine = (
        await connection.execute(
            select(events.c.occurred_at).where(events.c.id == attempt.event_id)
        )
    ).scalar()
    if mine is None:
        return None
    earlier = or_(
        deliveries.c.occurred_at < mine,
        and_(deliveries.c.occurred_at == mine, deliveries.c.event_id < attempt.event_id),
    )
    head = (
        await connection.execute(
            select(deliveries.c.next_attempt_at, deliveries.c.created_at)
            .where(
                deliveries.c.endpoint_id == attempt.endpoint_id,
                deliveries.c.state.in_(OPEN),
                deliveries.c.id != attempt.delivery_id,
                earlier,
                func.coalesce(deliveries.c.next_attempt_at, deliveries.c.created_at)
                > to_micros(now - ABANDONED),
            )
            .order_by(deliveries.c.occurred_at, deliveries.c.event_id)
            .limit(1)
        )
    ).first()
    if head is None:
        return None
    due = now if head.next_attempt_at is None else from_micros(head.next_attempt_at)
    wait = max(due - now, timedelta(0)) + timedelta(seconds=1 + random.random())  # noqa: S311 (spreads)
    return Hindrance(reason="an earlier event is delivered first", retry_after=wait)

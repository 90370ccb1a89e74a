"""The log of deliveries and their attempts, and who may attempt one now.

An attempt is claimed before it is sent (a row with a token and a lease) and recorded by whoever
holds the token. A worker lost in between leaves a row that the next claim takes over, and the
receiver may see the event twice, with the same ``webhook-id``.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, to_micros
from adapters.database.webhooks.endpoints import fetch_endpoint, read_endpoint
from adapters.database.webhooks.events import OPEN
from adapters.database.webhooks.tables import attempts, deliveries, endpoints, events
from adapters.sealing import SecretBox
from jobs.deliveries import (
    Attempt,
    AttemptOutcome,
    AttemptSuperseded,
    Closing,
    DeliveryState,
    Notice,
    NoticeKind,
)
from jobs.deliveries.answers import Answer, Meaning, Verdict, judge
from jobs.deliveries.breaker import (
    Hindrance,
    health_after,
    hindrance,
    is_disabled,
    is_warned,
)
from jobs.deliveries.records import AttemptRecord, DeliveryRecord, Dispatch
from jobs.endpoints import Endpoint, EndpointState, PayloadFormat

LEASE: Final = timedelta(seconds=15)
"""How much longer than its time limit an attempt counts as under way."""
PAUSED_RETRY: Final = timedelta(minutes=1)
ABANDONED: Final = timedelta(hours=24)
"""An ordered endpoint's first delivery that long overdue holds up the rest no more: its job was
terminated."""
MISSED: Final = (DeliveryState.FAILED, DeliveryState.ENDPOINT_DISABLED)
GONE: Final = "it answered 410"
FAILING: Final = "no success for five days"

REMOVED: Final = AttemptOutcome(
    state=DeliveryState.ENDPOINT_DISABLED,
    error="the endpoint was removed",
    error_type="EndpointDisabled",
)


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """The deliveries in the application database.

    Args:
        database: Open.
        box: Opens the endpoints' keys and headers.
    """

    database: Database
    box: SecretBox

    async def begin(self, attempt: Attempt, now: datetime) -> Dispatch | AttemptOutcome | Hindrance:
        """Claim an attempt.

        Returns what to send; or what the attempt came to, if it was made before or never will be;
        or what holds it up.
        """
        async with self.database.snapshot() as connection:
            early = await self._admit(connection, attempt, now)
        if isinstance(early, Hindrance):
            return early
        async with self.database.begin() as connection:
            admitted = await self._admit(connection, attempt, now, lock=True)
            if isinstance(admitted, Hindrance):
                return admitted
            leave = (
                admitted
                if isinstance(admitted, AttemptOutcome)
                else await self._claim(connection, attempt, admitted, now)
            )
            if isinstance(leave, AttemptOutcome):
                await _set_delivery(connection, attempt, leave, now)
            return leave

    async def _admit(
        self, connection: AsyncConnection, attempt: Attempt, now: datetime, *, lock: bool = False
    ) -> Row[Any] | AttemptOutcome | Hindrance:
        """Return the endpoint's row if the attempt may begin."""
        row = await fetch_endpoint(connection, attempt.endpoint_id, lock=lock)
        made = await _outcome(connection, attempt)
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

    async def _claim(
        self, connection: AsyncConnection, attempt: Attempt, row: Row[Any], now: datetime
    ) -> Dispatch | AttemptOutcome:
        endpoint = read_endpoint(row)
        event = (
            await connection.execute(select(events).where(events.c.id == attempt.event_id))
        ).first()
        if event is None or event.owner != endpoint.owner:
            error = "the event is unknown, or past its 30 days"
            return AttemptOutcome(
                state=DeliveryState.FAILED, error=error, error_type="EventUnknown"
            )
        token = uuid4().hex
        await self._write_claim(connection, attempt, event, token, endpoint, now)
        if endpoint.rate_per_s:
            following = to_micros(now + timedelta(seconds=1 / endpoint.rate_per_s))
            await connection.execute(
                update(endpoints)
                .where(endpoints.c.id == endpoint.id)
                .values(next_send_at=following)
            )
        return self._dispatch(token, endpoint, row, event, now)

    async def _write_claim(
        self,
        connection: AsyncConnection,
        attempt: Attempt,
        event: Row[Any],
        token: str,
        endpoint: Endpoint,
        now: datetime,
    ) -> None:
        insert = self.database.insert(deliveries).values(
            id=attempt.delivery_id,
            event_id=attempt.event_id,
            endpoint_id=attempt.endpoint_id,
            event_type=event.type,
            occurred_at=event.occurred_at,
            state=DeliveryState.DELIVERING,
            attempts=attempt.number,
            created_at=to_micros(now),
        )
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=[deliveries.c.id],
                set_={
                    "state": DeliveryState.DELIVERING,
                    "attempts": attempt.number,
                    "next_attempt_at": None,
                    "finished_at": None,
                },
            )
        )
        claim = {
            "token": token,
            "sending": True,
            "lease_until": to_micros(now + timedelta(seconds=endpoint.timeout_s) + LEASE),
            "started_at": to_micros(now),
            "answer": None,
            "outcome": None,
        }
        taking = self.database.insert(attempts).values(
            delivery_id=attempt.delivery_id,
            run_id=attempt.run_id,
            number=attempt.number,
            endpoint_id=attempt.endpoint_id,
            **claim,
        )
        await connection.execute(
            taking.on_conflict_do_update(
                index_elements=[attempts.c.delivery_id, attempts.c.run_id, attempts.c.number],
                set_=claim,
            )
        )

    def _dispatch(
        self, token: str, endpoint: Endpoint, row: Row[Any], event: Row[Any], now: datetime
    ) -> Dispatch:
        keys = [self.box.open(row.sealed_key, endpoint.id)]
        if row.previous_key_until is not None and row.previous_key_until > to_micros(now):
            keys.append(self.box.open(row.sealed_previous_key, endpoint.id))
        thin = endpoint.format is PayloadFormat.THIN and event.thin_body is not None
        headers = {}
        if row.sealed_headers is not None:
            headers = json.loads(self.box.open(row.sealed_headers, endpoint.id))
        return Dispatch(
            token=token,
            url=endpoint.url,
            body=event.thin_body if thin or event.full_body is None else event.full_body,
            keys=tuple(keys),
            headers=headers,
            timeout_s=endpoint.timeout_s,
        )

    async def finish(
        self, attempt: Attempt, token: str, answer: Answer, now: datetime
    ) -> AttemptOutcome:
        """Record an attempt's answer and what follows from it, once, for the holder of ``token``.

        Raises:
            AttemptSuperseded: another worker has taken the attempt over.
        """
        async with self.database.begin() as connection:
            row = await fetch_endpoint(connection, attempt.endpoint_id, lock=True)
            made = await _outcome(connection, attempt)
            if made is not None:
                return made
            verdict = judge(answer, now)
            outcome = _outcome_of(verdict, answer, attempt, now)
            if row is not None:
                outcome = await _update_endpoint(
                    connection, read_endpoint(row), verdict, outcome, now
                )
            recorded = await connection.execute(
                update(attempts)
                .where(_is(attempt), attempts.c.token == token)
                .values(
                    sending=False,
                    answer=answer.model_dump_json(),
                    outcome=outcome.model_dump_json(),
                )
            )
            if recorded.rowcount != 1:
                msg = "another worker has taken this attempt over"
                raise AttemptSuperseded(msg)
            await _set_delivery(connection, attempt, outcome, now)
        return outcome

    async def close(self, closing: Closing, now: datetime) -> None:
        """Record how a delivery ended that no attempt ended; a final state stays."""
        change = (
            update(deliveries)
            .where(deliveries.c.id == closing.delivery_id, deliveries.c.state.in_(OPEN))
            .values(
                state=closing.state,
                last_error=closing.error,
                next_attempt_at=None,
                finished_at=to_micros(now),
            )
        )
        async with self.database.begin() as connection:
            await connection.execute(change)

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


def _is(attempt: Attempt) -> ColumnElement[bool]:
    return and_(
        attempts.c.delivery_id == attempt.delivery_id,
        attempts.c.run_id == attempt.run_id,
        attempts.c.number == attempt.number,
    )


async def _outcome(connection: AsyncConnection, attempt: Attempt) -> AttemptOutcome | None:
    """Return what the attempt came to, if it was made before."""
    query = select(attempts.c.outcome).where(_is(attempt), attempts.c.sending.is_(False))
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


def _outcome_of(
    verdict: Verdict, answer: Answer, attempt: Attempt, now: datetime
) -> AttemptOutcome:
    common: dict[str, Any] = {"status": answer.status, "error": verdict.reason or None}
    match verdict.meaning:
        case Meaning.DELIVERED:
            return AttemptOutcome(state=DeliveryState.DELIVERED, **common)
        case Meaning.GONE:
            return AttemptOutcome(state=DeliveryState.FAILED, error_type="EndpointGone", **common)
        case Meaning.REFUSED:
            kind = "EndpointAddressRefused"
            return AttemptOutcome(state=DeliveryState.FAILED, error_type=kind, **common)
        case Meaning.FAILED:
            pass
    kind = answer.error_type or "EndpointAnswered"
    if attempt.then is None:
        return AttemptOutcome(state=DeliveryState.FAILED, error_type=kind, **common)
    wait = max(attempt.then, verdict.retry_after or timedelta(0))
    return AttemptOutcome(
        state=DeliveryState.WAITING, error_type=kind, next_attempt_at=now + wait, **common
    )


async def _update_endpoint(
    connection: AsyncConnection,
    endpoint: Endpoint,
    verdict: Verdict,
    outcome: AttemptOutcome,
    now: datetime,
) -> AttemptOutcome:
    """Record what the answer says about the endpoint, and return the outcome with what follows."""
    health = health_after(endpoint.health, verdict, now)
    values: dict[str, Any] = {}
    notice = None
    if endpoint.state is not EndpointState.DISABLED:
        gone = verdict.meaning is Meaning.GONE
        if gone or is_disabled(health, now):
            reason = GONE if gone else FAILING
            values = {"state": EndpointState.DISABLED, "disabled_reason": reason}
            notice = NoticeKind.DISABLED
            if outcome.state is DeliveryState.WAITING:
                ended = {"state": DeliveryState.ENDPOINT_DISABLED, "next_attempt_at": None}
                outcome = outcome.model_copy(update=ended)
        elif is_warned(health, now) and not health.warned:
            health = health.model_copy(update={"warned": True})
            notice = NoticeKind.FAILING
    if health != endpoint.health or values:
        await connection.execute(
            update(endpoints)
            .where(endpoints.c.id == endpoint.id)
            .values(health=health.model_dump_json(), **values)
        )
    if notice is None or endpoint.notify_user is None:
        return outcome
    since = health.first_failure_at or now
    mail = Notice(kind=notice, user_id=endpoint.notify_user, since=since)
    return outcome.model_copy(update={"notify": mail})


async def _set_delivery(
    connection: AsyncConnection, attempt: Attempt, outcome: AttemptOutcome, now: datetime
) -> None:
    due = outcome.next_attempt_at
    await connection.execute(
        update(deliveries)
        .where(deliveries.c.id == attempt.delivery_id)
        .values(
            state=outcome.state,
            last_status=outcome.status,
            last_error=outcome.error,
            next_attempt_at=None if due is None else to_micros(due),
            finished_at=to_micros(now) if outcome.state.final else None,
        )
    )


def _delivery(row: Row[Any]) -> DeliveryRecord:
    instants = {
        name: None if row._mapping[name] is None else from_micros(row._mapping[name])
        for name in ("next_attempt_at", "occurred_at", "created_at", "finished_at")
    }
    return DeliveryRecord.model_validate({**row._mapping, **instants})

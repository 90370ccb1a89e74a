"""The log of attempts: who may make one, what it came to.

An attempt is claimed before it is sent (a row with a token and a lease) and recorded by whoever
holds the token. A worker lost in between leaves a row that the next claim takes over, and the
receiver may see the event twice, with the same ``webhook-id``.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.webhooks.deliveries.admission import admit, made_before, this_one
from adapters.database.webhooks.deliveries.consequences import outcome_of, update_endpoint
from adapters.database.webhooks.endpoints import fetch_endpoint, read_endpoint
from adapters.database.webhooks.events import OPEN
from adapters.database.webhooks.tables import attempts, deliveries, endpoints, events
from adapters.sealing import SecretBox
from jobs.deliveries import Attempt, AttemptOutcome, AttemptSuperseded, Closing, DeliveryState
from jobs.deliveries.answers import Answer, judge
from jobs.deliveries.breaker import Hindrance
from jobs.deliveries.records import Dispatch
from jobs.endpoints import Endpoint, PayloadFormat

LEASE: Final = timedelta(seconds=15)
"""How much longer than its time limit an attempt counts as under way."""


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """Attempts of deliveries in the application database.

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
            early = await admit(connection, attempt, now)
        if isinstance(early, Hindrance):
            return early
        async with self.database.begin() as connection:
            admitted = await admit(connection, attempt, now, lock=True)
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
            made = await made_before(connection, attempt)
            if made is not None:
                return made
            verdict = judge(answer, now)
            outcome = outcome_of(verdict, answer, attempt, now)
            if row is not None:
                outcome = await update_endpoint(
                    connection, read_endpoint(row), verdict, outcome, now
                )
            recorded = await connection.execute(
                update(attempts)
                .where(this_one(attempt), attempts.c.token == token)
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

"""What follows from an answer, for the delivery and for its endpoint."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.webhooks.tables import endpoints
from jobs.deliveries import Attempt, AttemptOutcome, DeliveryState, Notice, NoticeKind
from jobs.deliveries.answers import Answer, Meaning, Verdict
from jobs.deliveries.breaker import health_after, is_disabled, is_warned
from jobs.endpoints import Endpoint, EndpointState

GONE: Final = "it answered 410"
FAILING: Final = "no success for five days"


def outcome_of(verdict: Verdict, answer: Answer, attempt: Attempt, now: datetime) -> AttemptOutcome:
    """Return what an attempt came to: delivered, failed for good, or waiting for another."""
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


async def update_endpoint(
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

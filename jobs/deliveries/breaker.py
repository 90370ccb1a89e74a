"""The circuit breaker of an endpoint, and when it is disabled: pure rules over its health.

Ten failures in a row open the circuit: no attempt for 30 s, then one at a time; each failing probe
doubles the pause up to 5 min, a success closes it. A blip costs half a minute, a thousand events
to a dead host a dozen requests, not eleven thousand. No success for 5 days and ten failures disable
the endpoint; its user hears of it at half that time.
"""

from datetime import datetime, timedelta
from typing import Final

from jobs.base import Contract
from jobs.deliveries.answers import Meaning, Verdict
from jobs.endpoints import Endpoint, EndpointHealth

OPENS_AFTER: Final = 10
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=5)
WARNED_AFTER: Final = timedelta(days=2.5)
DISABLED_AFTER: Final = timedelta(days=5)


class Hindrance(Contract):
    """Why an endpoint takes no attempt now."""

    reason: str
    retry_after: timedelta


def hindrance(
    endpoint: Endpoint, in_flight: int, now: datetime, *, forced: bool
) -> Hindrance | None:
    """Return what holds an attempt up, or None when it may begin.

    Args:
        endpoint: Where it would go.
        in_flight: Attempts that are under way there.
        now: The server's time.
        forced: A person asked for the attempt: circuit and pauses don't count.
    """
    health = endpoint.health
    if forced:
        return None
    if health.paused_until is not None and health.paused_until > now:
        return Hindrance(reason="the endpoint asked to wait", retry_after=health.paused_until - now)
    if health.open_until is not None:
        if health.open_until > now:
            return Hindrance(reason="circuit open", retry_after=health.open_until - now)
        if in_flight:
            return Hindrance(reason="circuit open, one probe at a time", retry_after=FIRST_PAUSE)
    limit = 1 if health.one_at_a_time or endpoint.ordered else endpoint.max_concurrency
    if in_flight >= limit:
        reason = f"{in_flight} of {limit} attempts at once are under way"
        return Hindrance(reason=reason, retry_after=timedelta(seconds=1))
    return None


def health_after(health: EndpointHealth, verdict: Verdict, now: datetime) -> EndpointHealth:
    """Return an endpoint's health after an attempt."""
    if verdict.meaning is Meaning.DELIVERED:
        return EndpointHealth(last_success_at=now)
    failures = health.consecutive_failures + 1
    is_open = health.open_until is not None and health.open_until > now
    opens = failures >= OPENS_AFTER and not is_open
    pause = verdict.retry_after
    return health.model_copy(
        update={
            "consecutive_failures": failures,
            "first_failure_at": health.first_failure_at or now,
            "openings": health.openings + opens,
            "open_until": now + open_for(health.openings) if opens else health.open_until,
            "paused_until": now + pause if pause else health.paused_until,
            "one_at_a_time": health.one_at_a_time or verdict.overloaded,
        }
    )


def open_for(openings: int) -> timedelta:
    """Return how long a circuit stays open that has opened ``openings`` times before."""
    return FIRST_PAUSE * min(1 << min(openings, 10), LONGEST_PAUSE // FIRST_PAUSE)


def is_warned(health: EndpointHealth, now: datetime) -> bool:
    """Tell whether the endpoint has failed long enough to tell its user."""
    return _failing_for(health, now) >= WARNED_AFTER


def is_disabled(health: EndpointHealth, now: datetime) -> bool:
    """Tell whether the endpoint has failed long enough to be disabled."""
    return _failing_for(health, now) >= DISABLED_AFTER


def _failing_for(health: EndpointHealth, now: datetime) -> timedelta:
    if health.first_failure_at is None or health.consecutive_failures < OPENS_AFTER:
        return timedelta(0)
    return now - health.first_failure_at

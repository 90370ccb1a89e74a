"""Steps of the delivery job: one attempt, and recording an end that no attempt brought.

At least once: the attempt is claimed in the log before it is sent and recorded by the holder of the
claim. A worker lost in between sends again, with the same ``webhook-id``; one lost after recording
does not.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from temporalio import activity

from activities.clock import ServerClock
from activities.progress import report
from jobs.deliveries import Attempt, AttemptOutcome, Closing, EndpointWaiting, NotYetDue
from jobs.deliveries.answers import Answer
from jobs.deliveries.breaker import Hindrance
from jobs.deliveries.records import Dispatch
from jobs.errors import DatabaseUnavailable
from jobs.signatures import standard

BEAT_S: Final = 1.0
LONGEST_BUSY_WAIT: Final = timedelta(seconds=15)
SPREAD: Final = 0.5
"""Waits are up to this share longer, so that a thousand deliveries don't come back at once."""


class DeliveryLog(Protocol):
    """What these steps need from the database."""

    async def begin(self, attempt: Attempt, now: datetime) -> Dispatch | AttemptOutcome | Hindrance:
        """Claim an attempt; or tell what it came to before, or what holds it up."""
        ...

    async def finish(
        self, attempt: Attempt, token: str, answer: Answer, now: datetime
    ) -> AttemptOutcome:
        """Record an attempt's answer, and return what follows from it."""
        ...

    async def close(self, closing: Closing, now: datetime) -> None:
        """Record an end that no attempt brought."""
        ...


class Sender(Protocol):
    """What these steps need from an HTTP client."""

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float
    ) -> Answer:
        """Post once and return what came of it; no failure of the other side is raised."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryActivities:
    """Steps of the delivery job."""

    log: DeliveryLog
    sender: Sender
    record_waits_s: Sequence[float] = (1.0, 2.0, 4.0, 8.0)
    """Between tries to record an answer while the database is away."""

    @activity.defn(name="deliveries.attempt")
    async def attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Wait until the attempt is due, then make it once and return what came of it.

        Idempotent by delivery and number: an attempt that is recorded is not made again.

        Raises:
            NotYetDue: It is too early; carries the time that is left.
            EndpointWaiting: The endpoint takes no attempt now; carries when to ask again.
        """
        clock = ServerClock()
        if attempt.due_at is not None and (left := attempt.due_at - clock.now()) > timedelta(0):
            msg = f"attempt {attempt.number} is due at {attempt.due_at:%Y-%m-%d %H:%M:%S} UTC"
            raise NotYetDue(msg, retry_after=left, benign=True)
        making = asyncio.create_task(self._make(attempt, clock))
        try:
            while not making.done():
                report(attempt.number - 1, message="waiting for the endpoint's answer")
                await asyncio.wait({making}, timeout=BEAT_S)
            return await making
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is not None and details.cancel_requested:
                return await making  # the request may be out: its answer is the truth
            making.cancel()
            raise

    async def _make(self, attempt: Attempt, clock: ServerClock) -> AttemptOutcome:
        leave = await self.log.begin(attempt, clock.now())
        match leave:
            case AttemptOutcome():
                return leave
            case Hindrance():
                wait = max(leave.retry_after, _busy_wait(activity.info().attempt))
                spread = 1 + random.random() * SPREAD  # noqa: S311 (no secret: it spreads load)
                raise EndpointWaiting(leave.reason, retry_after=wait * spread, benign=True)
            case Dispatch():
                answer = await self._send(attempt, leave, clock)
                return await self._record(attempt, leave, answer, clock)

    async def _send(self, attempt: Attempt, leave: Dispatch, clock: ServerClock) -> Answer:
        sent_at = int(clock.now().timestamp())  # receivers refuse what a wrong clock has signed
        headers = {
            **leave.headers,
            "content-type": "application/json",
            **standard.headers(attempt.event_id, sent_at, leave.body, leave.keys),
        }
        answer = await self.sender.post(leave.url, leave.body, headers, timeout_s=leave.timeout_s)
        return answer.model_copy(update={"sent_at": sent_at})

    async def _record(
        self, attempt: Attempt, leave: Dispatch, answer: Answer, clock: ServerClock
    ) -> AttemptOutcome:
        """Record an answer; where the database is away for a moment, wait for it.

        An answer that is lost means a second request, which nobody would tell from a first.
        """
        for wait_s in self.record_waits_s:
            try:
                return await self.log.finish(attempt, leave.token, answer, clock.now())
            except DatabaseUnavailable:
                await asyncio.sleep(wait_s)
        return await self.log.finish(attempt, leave.token, answer, clock.now())

    @activity.defn(name="deliveries.close")
    async def close(self, closing: Closing) -> None:
        """Record how the delivery ended; a second time changes nothing, a final state stays."""
        await self.log.close(closing, ServerClock().now())

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.attempt, self.close)


def _busy_wait(tries: int) -> timedelta:
    """Return the least wait at a busy endpoint after so many tries."""
    return min(timedelta(seconds=0.25) * (1 << min(tries, 10)), LONGEST_BUSY_WAIT)

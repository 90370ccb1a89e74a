"""Deliver one event to one endpoint."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityConfig

from activities.deliveries import DeliveryActivities
from jobs.deliveries import (
    ATTEMPT,
    CLOSE,
    DELIVERY,
    JITTER,
    Attempt,
    AttemptOutcome,
    Closing,
    DeliverWebhook,
    Delivery,
    DeliveryExhausted,
    DeliveryState,
    EndpointAddressRefused,
    EndpointDisabled,
    EndpointGone,
    EventUnknown,
    Notice,
    NoticeKind,
)
from jobs.emails import EMAIL, Email
from jobs.errors import PoisonJob
from workflows.base import JobWorkflow
from workflows.children import child_options

FINAL_ERRORS: Final = {
    error.__name__: error
    for error in (EndpointGone, EndpointAddressRefused, EndpointDisabled, EventUnknown)
}
NOTICE_TITLES: Final = {
    NoticeKind.FAILING: "A webhook endpoint keeps failing",
    NoticeKind.DISABLED: "A webhook endpoint was disabled",
}
NOTICE_TEXTS: Final = {
    NoticeKind.FAILING: (
        "It has answered none of our requests for two and a half days. If that goes on it will be "
        "disabled; events that could not be delivered can be replayed for 30 days."
    ),
    NoticeKind.DISABLED: (
        "No more events are delivered to it. When it is repaired, enable it and replay what was "
        "missed: `starter.py endpoints enable ID` and `starter.py endpoints replay ID`."
    ),
}


@workflow.defn(name=DELIVERY.workflow)
class DeliverWebhookWorkflow(JobWorkflow):
    """Try the endpoint by its schedule until it accepts the event."""

    def __init__(self) -> None:
        self._attempt: asyncio.Task[AttemptOutcome] | None = None
        self._forced = False
        self._cancelled = False

    @workflow.update
    async def retry_now(self) -> None:
        """Make the next attempt at once, also while the endpoint's circuit is open."""
        self._forced = True
        self._interrupt()

    @workflow.update
    async def cancel(self) -> None:
        """Make no further attempt; one that is under way is still recorded."""
        self._cancelled = True
        self._interrupt()

    @workflow.run
    async def run(self, job: DeliverWebhook) -> Delivery:
        """Deliver ``job``."""
        try:
            return await self._follow_schedule(job)
        except asyncio.CancelledError:
            last = await self._stop()
            if last is not None and last.state is DeliveryState.DELIVERED:
                return Delivery(state=last.state, status=last.status)
            await self._close(DeliveryState.CANCELLED)
            raise

    async def _follow_schedule(self, job: DeliverWebhook) -> Delivery:
        outcome: AttemptOutcome | None = None
        count = len(job.schedule)
        due_at = self._due(job.schedule[0])
        for number in range(1, count + 1):
            then = self._jittered(job.schedule[number]) if number < count else None
            outcome = await self._try(job, number, due_at, then)
            if self._cancelled and not outcome.state.final:
                await self._close(DeliveryState.CANCELLED)
                status = outcome.status
                return Delivery(state=DeliveryState.CANCELLED, attempts=number, status=status)
            if outcome.notify is not None:
                await self._notify(outcome.notify, job.endpoint_id)
            if outcome.state is DeliveryState.DELIVERED:
                return Delivery(state=outcome.state, attempts=number, status=outcome.status)
            if outcome.state is not DeliveryState.WAITING:
                raise final_error(outcome, number)
            due_at = outcome.next_attempt_at
        msg = "the schedule ended while the delivery was waiting"
        raise DeliveryExhausted(msg)

    async def _try(
        self, job: DeliverWebhook, number: int, due_at: datetime | None, then: timedelta | None
    ) -> AttemptOutcome:
        """Make one attempt; a person may cut the wait for it short."""
        while True:
            attempt = Attempt(
                delivery_id=workflow.info().workflow_id,
                run_id=workflow.info().run_id,
                event_id=job.event_id,
                endpoint_id=job.endpoint_id,
                number=number,
                due_at=None if self._forced else due_at,
                then=then,
                forced=self._forced,
            )
            self._forced = False
            self._attempt = asyncio.create_task(
                self.step(
                    DeliveryActivities.attempt,
                    attempt,
                    ATTEMPT,
                    place=(number, len(job.schedule)),
                    summary=f"attempt {number}",
                )
            )
            try:
                outcome = await asyncio.shield(self._attempt)
                if attempt.forced and outcome.repeated:
                    self._forced = True  # the wish came as this attempt ended: it means the next
                return outcome
            except PoisonJob as lost:
                return self._lost(lost, then)
            except (ActivityError, asyncio.CancelledError) as error:
                if self._cancelled:
                    return AttemptOutcome(state=DeliveryState.WAITING)
                if not (self._forced and is_cancelled_exception(error)):
                    raise

    def _lost(self, error: PoisonJob, then: timedelta | None) -> AttemptOutcome:
        """Count an attempt that lost its workers as failed: the next may find better ones."""
        return AttemptOutcome(
            state=DeliveryState.WAITING if then else DeliveryState.FAILED,
            error=error.message,
            error_type=error.type,
            next_attempt_at=self._due(then),
        )

    def _interrupt(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()

    async def _stop(self) -> AttemptOutcome | None:
        """End the attempt that is under way; return what it came to if it was made."""
        if self._attempt is None:
            return None
        self._attempt.cancel()
        try:
            return await self._attempt
        except (ActivityError, PoisonJob, asyncio.CancelledError):
            return None

    async def _close(self, state: DeliveryState) -> None:
        closing = Closing(delivery_id=workflow.info().workflow_id, state=state)
        config: ActivityConfig = {**CLOSE, "summary": f"record that it is {state}"}
        await workflow.execute_activity_method(DeliveryActivities.close, closing, **config)

    def _due(self, wait: timedelta | None) -> datetime | None:
        return workflow.now() + wait if wait else None

    def _jittered(self, wait: timedelta) -> timedelta:
        return wait * workflow.random().uniform(1 - JITTER, 1 + JITTER)

    async def _notify(self, notice: Notice, endpoint_id: str) -> None:
        """Mail the endpoint's user; the mail's id lets it go out once."""
        mail = Email(
            template="notification",
            user_id=notice.user_id,
            data={
                "title": NOTICE_TITLES[notice.kind],
                "message": NOTICE_TEXTS[notice.kind],
                "facts": {
                    "Endpoint": endpoint_id,
                    "Failing since": f"{notice.since:%Y-%m-%d %H:%M} UTC",
                },
            },
        )
        key = f"endpoint-{endpoint_id}:{notice.kind}:{notice.since:%Y%m%dT%H%M%S}"
        try:
            await workflow.start_child_workflow(
                EMAIL.workflow, mail, **child_options(EMAIL, mail, key)
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("the endpoint's user has been told before")


def final_error(outcome: AttemptOutcome, attempts: int) -> ApplicationError:
    """Return the error that a delivery ends with."""
    kind = "EndpointDisabled" if outcome.state is DeliveryState.ENDPOINT_DISABLED else ""
    error = FINAL_ERRORS.get(kind or outcome.error_type or "", DeliveryExhausted)
    msg = f"not delivered after {attempts} attempts: {outcome.error or outcome.error_type}"
    return error(msg)

"""Send one email."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.workflow import ActivityConfig

from activities.emails import EmailActivities
from jobs.emails import (
    DEFERRED,
    EMAIL,
    SEND,
    WAITS_BETWEEN_ROUNDS,
    Delivery,
    Email,
    EmailReceipt,
    recipient_summary,
)
from workflows.base import JobWorkflow


class MailWorkflow(JobWorkflow):
    """What ``email`` and ``reminder`` share: one step, tried until the mail expires."""

    async def deliver(self, job: Email, expires_at: datetime) -> EmailReceipt:
        """Send ``job``; where the relay says "later", try again in rounds of attempts."""
        job = job.model_copy(update={"expires_at": expires_at})
        summary = f"send {job.template} to {recipient_summary(job)}"
        rounds = 0
        while True:
            try:
                return await self.step(
                    EmailActivities.send,
                    job,
                    send_before(expires_at),
                    place=(1, 1),
                    summary=summary,
                )
            except ActivityError as error:
                if never_begun(error):
                    return EmailReceipt(delivery=Delivery.EXPIRED, message_id="")
                wait = WAITS_BETWEEN_ROUNDS[min(rounds, len(WAITS_BETWEEN_ROUNDS) - 1)]
                if not deferred(error) or workflow.now() + wait >= expires_at:
                    raise
            rounds += 1
            again_at = workflow.now() + wait
            workflow.set_current_details(
                f"The relay said: later. Tried again at {again_at:%Y-%m-%d %H:%M} UTC."
            )
            await workflow.sleep(wait, summary="until the next round of attempts")
            workflow.set_current_details("")


@workflow.defn(name=EMAIL.workflow)
class SendEmailWorkflow(MailWorkflow):
    """Send one message; done when the relay has taken it."""

    @workflow.run
    async def run(self, job: Email) -> EmailReceipt:
        """Send ``job``."""
        template = job.mail_template
        # A reset link's time runs from the request; other mails may have waited for their start.
        start = workflow.info().workflow_start_time if template.reset_link else workflow.now()
        return await self.deliver(job, job.expires_at or start + template.lifetime)


def send_before(expires_at: datetime) -> ActivityConfig:
    """Return how to send a mail that is of no use after ``expires_at``."""
    shortest = SEND["start_to_close_timeout"] or timedelta(0)
    left = max(expires_at - workflow.now(), shortest)
    return {**SEND, "schedule_to_close_timeout": left}


def deferred(error: ActivityError) -> bool:
    """Return whether the relay said "later"."""
    return isinstance(error.cause, ApplicationError) and error.cause.type in DEFERRED


def never_begun(error: ActivityError) -> bool:
    """Return whether the mail expired while it waited for a worker."""
    cause = error.cause
    return (
        isinstance(cause, TimeoutError)
        and cause.type in {TimeoutType.SCHEDULE_TO_CLOSE, TimeoutType.SCHEDULE_TO_START}
        and cause.cause is None
    )

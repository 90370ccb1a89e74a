"""Tell people what needs them: an error in the worker's log, and a mail where one is wanted."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.alerts import AlertActivities
from jobs.emails import EMAIL, STOPS_ALL_MAIL, Email
from jobs.holds import ALERT_LASTS, ALERT_WORKFLOW, LOOK_INTERVAL, HoldCause
from workflows.children import child_options

LOOK_TIMEOUT: Final = timedelta(seconds=30)
LOOK_POLICY: Final = RetryPolicy(maximum_attempts=10)


@workflow.defn(name=ALERT_WORKFLOW)
class AlertOfHoldWorkflow:
    """Tells once that jobs are held for a cause.

    It is open as long as one of them is, for a day at most; meanwhile further held jobs find the
    alert raised. A release ends it, so that the same failure afterwards is told anew.
    """

    @workflow.run
    async def run(self, cause: HoldCause) -> None:
        """Tell, and wait until no job is held for ``cause``."""
        workflow.logger.error(
            "jobs are held until somebody mends the cause",
            extra={"error": cause.error, "reason": cause.message, "first_job": cause.job_id},
        )
        if cause.error not in STOPS_ALL_MAIL:
            await self._mail(cause)
        last_look = workflow.now() + ALERT_LASTS - LOOK_INTERVAL
        while workflow.now() < last_look:
            await workflow.sleep(LOOK_INTERVAL, summary="until the next look at held jobs")
            held = await workflow.execute_activity_method(
                AlertActivities.count_held,
                cause,
                start_to_close_timeout=LOOK_TIMEOUT,
                retry_policy=LOOK_POLICY,
                summary="count the jobs that are held for it",
            )
            if held.count == 0:
                return

    async def _mail(self, cause: HoldCause) -> None:
        recipients = await workflow.execute_activity_method(
            AlertActivities.find_recipients,
            start_to_close_timeout=LOOK_TIMEOUT,
            retry_policy=LOOK_POLICY,
            summary="look up whom to mail",
        )
        key = f"{workflow.info().workflow_id}-{cause.since:%Y%m%dT%H%M%S}"
        await send_mails((hold_mail(cause, address) for address in recipients.to), key)


async def send_mails(mails: Iterable[Email], key: str) -> None:
    """Start a job for each of an alert's mails; they go on by themselves."""
    for number, email in enumerate(mails, start=1):
        await workflow.start_child_workflow(
            EMAIL.workflow, email, **child_options(EMAIL, email, f"{key}-{number}")
        )


def hold_mail(cause: HoldCause, address: str) -> Email:
    """Return the mail that tells someone of held jobs."""
    return Email(
        to=address,
        template="notification",
        data={
            "name": "operator",
            "title": f"Jobs are held: {cause.error}",
            "message": (
                f"{cause.message}\n\n"
                "Jobs that meet this wait, and no attempt is lost. Mend the cause, then let them "
                f"go on with: starter.py release --error {cause.error}\n\n"
                "See which they are with: starter.py list --state held"
            ),
            "facts": {
                "Error": cause.error,
                "First job": cause.job_id,
                "Since": f"{cause.since:%Y-%m-%d %H:%M} UTC",
            },
        },
    )

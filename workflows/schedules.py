"""Watch the schedules: one alert for each run that was missed, is late or failed."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.schedules import ScheduleActivities
from jobs.emails import EMAIL, Email
from jobs.schedules.watching import Alarms, Alert, ScheduledRun, WatchSchedules
from workflows.children import child_options

LOOK_TIMEOUT: Final = timedelta(minutes=2)
LOOK_ATTEMPTS: Final = 3
ALERT_DEADLINE: Final = timedelta(minutes=10)


@workflow.defn(name="WatchSchedules")
class WatchSchedulesWorkflow:
    """Looks at the latest runs of all schedules and raises what is new."""

    @workflow.run
    async def run(self, watch: WatchSchedules) -> Alarms:
        """Look once."""
        alarms = await workflow.execute_activity_method(
            ScheduleActivities.look,
            start_to_close_timeout=LOOK_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=LOOK_ATTEMPTS),
            summary="look at the latest runs",
        )
        raised = await asyncio.gather(*(self._raise(run, watch) for run in alarms.runs))
        return Alarms(runs=tuple(run for run in raised if run is not None))

    async def _raise(self, run: ScheduledRun, watch: WatchSchedules) -> ScheduledRun | None:
        """Start the alert of a run; its id makes sure that there is one."""
        try:
            await workflow.start_child_workflow(
                RaiseAlertWorkflow.run,
                Alert(run=run, to=watch.alerts_to),
                id=f"alert-{run.schedule}-{run.nominal:%Y-%m-%dT%H:%M:%SZ}-{run.state}",
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                execution_timeout=ALERT_DEADLINE,
                static_summary=f"schedule **{run.schedule}**: {run.words()}",
            )
        except WorkflowAlreadyStartedError:
            return None
        return run


@workflow.defn(name="RaiseAlert")
class RaiseAlertWorkflow:
    """Writes one alert to the log and, where addresses are configured, mails it."""

    @workflow.run
    async def run(self, alert: Alert) -> None:
        """Raise ``alert``."""
        run = alert.run
        workflow.logger.error(
            "a scheduled run went wrong",
            extra={
                "schedule": run.schedule,
                "nominal": run.nominal.isoformat(),
                "state": str(run.state),
                "job": run.job_id,
            },
        )
        for number, address in enumerate(alert.to, start=1):
            email = alert_mail(run, address)
            await workflow.start_child_workflow(
                EMAIL.workflow,
                email,
                **child_options(EMAIL, email, f"{workflow.info().workflow_id}-{number}"),
            )


def alert_mail(run: ScheduledRun, address: str) -> Email:
    """Return the mail that tells someone of a run that went wrong."""
    facts = {
        "Schedule": run.schedule,
        "Was due": f"{run.nominal:%Y-%m-%d %H:%M} UTC",
        "State": str(run.state),
    }
    if run.job_id:
        facts["Job"] = run.job_id
    return Email(
        to=address,
        template="notification",
        data={
            "name": "operator",
            "title": f"Scheduled run {run.state}: {run.schedule}",
            "message": (
                f"The run of schedule {run.schedule} that was due at "
                f"{run.nominal:%Y-%m-%d %H:%M} UTC {run.trouble()}.\n\n"
                f"{run.advice()}"
            ),
            "facts": facts,
        },
    )

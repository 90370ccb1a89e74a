"""The watch over schedules: one alert for each run that went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.schedules import ScheduleActivities
from jobs.base import Queue
from jobs.emails import Delivery, Email, EmailReceipt
from jobs.schedules.watching import Alarms, RunState, ScheduledRun, WatchSchedules
from workflows.sandbox import RUNNER
from workflows.schedules import RaiseAlertWorkflow, WatchSchedulesWorkflow, alert_mail

NINE = datetime(2027, 3, 28, 7, tzinfo=UTC)


@workflow.defn(name="SendEmail", sandboxed=False)
class PostboxWorkflow:
    """A mail job that is always delivered."""

    @workflow.run
    async def run(self, job: Email) -> EmailReceipt:
        return EmailReceipt(delivery=Delivery.SENT, message_id=job.template)


@dataclass
class ScriptedSchedules:
    """Schedules whose runs are as told."""

    runs: list[ScheduledRun] = field(default_factory=list)

    async def alarms(self) -> Sequence[ScheduledRun]:
        return self.runs


async def look(temporal: Client, unique: str, runs: list[ScheduledRun], *to: str) -> Alarms:
    """Let the watch look once."""
    steps = ScheduleActivities(ScriptedSchedules(runs))
    async with (
        Worker(
            temporal,
            task_queue=unique,
            workflows=[WatchSchedulesWorkflow, RaiseAlertWorkflow],
            activities=steps.all(),
            workflow_runner=RUNNER,
        ),
        Worker(temporal, task_queue=Queue.EMAILS, workflows=[PostboxWorkflow]),
    ):
        alarms: Alarms = await temporal.execute_workflow(
            WatchSchedulesWorkflow.run,
            WatchSchedules(alerts_to=to),
            id=f"{unique}-watch",
            task_queue=unique,
        )
        for run in alarms.runs:
            await temporal.get_workflow_handle(alert_id(run)).result()
        return alarms


def alert_id(run: ScheduledRun) -> str:
    return f"alert-{run.schedule}-{run.nominal:%Y-%m-%dT%H:%M:%SZ}-{run.state}"


async def test_a_run_that_went_wrong_raises_one_alert_however_often_it_is_seen(
    temporal: Client, unique: str
) -> None:
    runs = [
        ScheduledRun(schedule=unique, nominal=NINE, state=RunState.MISSED),
        ScheduledRun(schedule=unique, nominal=NINE, state=RunState.FAILED, job_id="report-x"),
    ]
    first = await look(temporal, unique, runs, "ops@example.com", "ada@example.com")
    second = await look(temporal, unique, runs, "ops@example.com", "ada@example.com")
    assert (list(first.runs), list(second.runs)) == (runs, [])
    for run in runs:
        for number in (1, 2):
            handle = temporal.get_workflow_handle(f"email-{alert_id(run)}-{number}")
            assert (await handle.result())["delivery"] == "sent"


async def test_without_addresses_an_alert_is_only_logged(temporal: Client, unique: str) -> None:
    run = ScheduledRun(schedule=unique, nominal=NINE, state=RunState.LATE, job_id="report-x")
    assert list((await look(temporal, unique, [run])).runs) == [run]
    with pytest.raises(RPCError, match="not found"):
        await temporal.get_workflow_handle(f"email-{alert_id(run)}-1").describe()


def test_the_mail_of_a_missed_run_says_how_to_make_up_for_it() -> None:
    run = ScheduledRun(schedule="daily-summary", nominal=NINE, state=RunState.MISSED)
    mail = alert_mail(run, "ops@example.com")
    assert mail.data["title"] == "Scheduled run missed: daily-summary"
    assert "due at 2027-03-28 07:00 UTC did not start" in str(mail.data["message"])
    assert "schedules backfill daily-summary --from 2027-03-28T07:00Z" in str(mail.data["message"])


def test_the_mail_of_a_failed_run_names_its_job() -> None:
    run = ScheduledRun(schedule="s", nominal=NINE, state=RunState.FAILED, job_id="s-2027")
    mail = alert_mail(run, "ops@example.com")
    assert "starter.py explain s-2027" in str(mail.data["message"])

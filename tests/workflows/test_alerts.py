"""Alerts of held jobs: one for each cause, as long as it holds a job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.alerts import AlertActivities
from jobs.attributes import JOB_STATE
from jobs.base import Queue
from jobs.client.holding import end_alert
from jobs.holds import AlertRecipients, HoldCause, alert_id
from tests.workflows.one_step import Note, NotesWorkflow, Steps
from tests.workflows.test_schedules import PostboxWorkflow
from workflows.alerts import AlertOfHoldWorkflow, hold_mail
from workflows.base import JobWorkflow
from workflows.sandbox import RUNNER

NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)


@dataclass
class ScriptedCount:
    """Tells as many held jobs as the script says, then none."""

    script: list[int] = field(default_factory=list)
    looks: int = 0

    async def count(self, error: str) -> int:
        self.looks += 1
        return self.script.pop(0) if self.script else 0


@asynccontextmanager
async def workers(
    client: Client, unique: str, steps: Steps, held: ScriptedCount, *to: str
) -> AsyncIterator[None]:
    """Run jobs, alerts and a mail service."""
    async with (
        Worker(
            client,
            task_queue=unique,
            workflows=[NotesWorkflow, AlertOfHoldWorkflow],
            activities=[
                steps.work,
                *AlertActivities(held=held, recipients=AlertRecipients(to=to)).all(),
            ],
            workflow_runner=RUNNER,
        ),
        Worker(client, task_queue=Queue.EMAILS, workflows=[PostboxWorkflow]),
    ):
        yield


async def runs_of(client: Client, name: str) -> list[WorkflowExecutionStatus | None]:
    return [run.status async for run in client.list_workflows(f"WorkflowId = '{name}'")]


async def test_jobs_held_for_one_cause_raise_one_alert_and_another_after_the_release(
    client: Client, unique: str
) -> None:
    steps, alert = Steps(failures=6, final=True), alert_id("StorageFull")
    async with workers(client, unique, steps, ScriptedCount([9] * 9)):
        jobs = [
            await client.start_workflow(
                NotesWorkflow.run,
                Note(text="StorageFull"),
                id=f"{unique}-{number}",
                task_queue=unique,
            )
            for number in range(3)
        ]
        for alerts in (1, 2):
            # So none still shows the hold before.
            while len(steps.calls) < 3 * alerts:  # noqa: ASYNC110 - the steps are other tests' too
                await asyncio.sleep(0.02)
            for job in jobs:
                while (await job.describe()).typed_search_attributes.get(JOB_STATE) != "held":
                    pass
            ended = [WorkflowExecutionStatus.TERMINATED] * (alerts - 1)
            while await runs_of(client, alert) != [WorkflowExecutionStatus.RUNNING, *ended]:
                pass
            await end_alert(client, "StorageFull")
            for job in jobs:
                await job.signal(JobWorkflow.release)
        for job in jobs:
            await job.result()
    assert len(steps.calls) == 9


async def test_an_alert_is_mailed_once_and_ends_when_nothing_is_held_any_more(
    temporal: Client, unique: str
) -> None:
    cause = HoldCause(error=f"E{unique}", message="full", job_id="image-1", since=NOON)
    held = ScriptedCount([3, 2])
    async with workers(temporal, unique, Steps(), held, "ops@example.com", "ada@example.com"):
        await temporal.execute_workflow(
            AlertOfHoldWorkflow.run, cause, id=alert_id(cause.error), task_queue=unique
        )
        for number in (1, 2):
            mail = f"email-{alert_id(cause.error)}-{NOON:%Y%m%dT%H%M%S}-{number}"
            result = await temporal.get_workflow_handle(mail).result()
            assert result["delivery"] == "sent"
    assert held.looks == 3


async def test_that_mail_does_not_work_is_not_mailed(temporal: Client, unique: str) -> None:
    cause = HoldCause(
        error="EmailRelayMisconfigured",
        message="login refused",
        job_id="email-1",
        since=NOON,
    )
    async with workers(temporal, unique, Steps(), ScriptedCount(), "ops@example.com"):
        await temporal.execute_workflow(
            AlertOfHoldWorkflow.run, cause, id=f"{unique}-alert", task_queue=unique
        )
    mail = f"email-{unique}-alert-{cause.since:%Y%m%dT%H%M%S}-1"
    with pytest.raises(RPCError, match="not found"):
        await temporal.get_workflow_handle(mail).describe()


def test_the_mail_says_how_to_let_the_jobs_go_on() -> None:
    cause = HoldCause(error="StorageFull", message="no room", job_id="image-1", since=NOON)
    mail = hold_mail(cause, "ops@example.com")
    assert mail.data["title"] == "Jobs are held: StorageFull"
    assert "starter.py release --error StorageFull" in str(mail.data["message"])

"""The email workflow: tried in rounds while the relay says "later", until the mail expires."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from activities.emails import EmailActivities
from jobs.attributes import JOB_STATE
from jobs.emails import (
    Delivery,
    Email,
    EmailContentRejected,
    EmailGreylisted,
    EmailReceipt,
    EmailRelayMisconfigured,
    EmailRelayUnavailable,
)
from workflows.emails import SendEmailWorkflow
from workflows.sandbox import RUNNER

WELCOME = Email(template="welcome", to="ada@example.com", data={"name": "Ada"})


@dataclass(slots=True)
class ScriptedSend:
    """Fails as the script says, then sends."""

    failures: list[Exception]
    jobs: list[Email] = field(default_factory=list)

    @activity.defn(name="emails.send")
    async def send(self, job: Email) -> EmailReceipt:
        self.jobs.append(job)
        if self.failures:
            raise self.failures.pop(0)
        return EmailReceipt(delivery=Delivery.SENT, message_id="<1@example.com>")

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.send,)


async def start(
    client: Client, job: Email, name: str
) -> WorkflowHandle[SendEmailWorkflow, EmailReceipt]:
    return await client.start_workflow(
        SendEmailWorkflow.run, job, id=name, task_queue=name, execution_timeout=timedelta(days=8)
    )


def worker(client: Client, name: str, steps: ScriptedSend) -> Worker:
    return Worker(
        client,
        task_queue=name,
        workflows=[SendEmailWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    )


def test_the_script_has_the_name_of_the_real_step() -> None:
    names = [
        activity._Definition.must_from_callable(step).name
        for step in (EmailActivities.send, ScriptedSend.send)
    ]
    assert names == ["emails.send"] * 2


async def test_a_relay_that_is_away_is_tried_three_times(temporal: Client, unique: str) -> None:
    steps = ScriptedSend([EmailRelayUnavailable("away") for _ in range(5)])
    async with worker(temporal, unique, steps):
        with pytest.raises(WorkflowFailureError) as caught:
            await (await start(temporal, WELCOME, unique)).result()

    assert error_type(caught.value) == "EmailRelayUnavailable"
    assert len(steps.jobs) == 3


async def test_a_refusal_fails_the_job_at_the_first_attempt(temporal: Client, unique: str) -> None:
    steps = ScriptedSend([EmailContentRejected("spam")])
    async with worker(temporal, unique, steps):
        with pytest.raises(WorkflowFailureError) as caught:
            await (await start(temporal, WELCOME, unique)).result()

    assert error_type(caught.value) == "EmailContentRejected"
    assert len(steps.jobs) == 1


async def test_a_relay_that_refuses_us_holds_the_mail_until_it_is_released(
    client: Client, unique: str
) -> None:
    steps = ScriptedSend([EmailRelayMisconfigured("login refused")])
    async with worker(client, unique, steps):
        handle = await start(client, WELCOME, unique)
        while (await handle.describe()).typed_search_attributes.get(JOB_STATE) != "held":
            pass
        await handle.signal(SendEmailWorkflow.release)
        assert (await handle.result()).delivery is Delivery.SENT
    assert len(steps.jobs) == 2


async def test_a_greylisted_mail_is_tried_in_rounds_until_it_is_taken(
    temporal: Client, unique: str
) -> None:
    steps = ScriptedSend(
        [EmailGreylisted("later", retry_after=timedelta(minutes=5)) for _ in range(7)]
    )
    async with worker(temporal, unique, steps):
        receipt = await (await start(temporal, WELCOME, unique)).result()

    assert receipt.delivery is Delivery.SENT
    assert len(steps.jobs) == 8


async def test_a_greylisted_mail_fails_once_the_next_round_would_be_too_late(
    temporal: Client, unique: str
) -> None:
    steps = ScriptedSend(
        [EmailGreylisted("later", retry_after=timedelta(minutes=5)) for _ in range(9)]
    )
    job = Email(template="password-reset", to="ada@example.com", data={"name": "A"}, request_id="r")
    async with worker(temporal, unique, steps):
        with pytest.raises(WorkflowFailureError) as caught:
            await (await start(temporal, job, unique)).result()

    assert error_type(caught.value) == "EmailGreylisted"
    assert len(steps.jobs) == 3


async def test_the_step_is_told_when_the_mail_expires(temporal: Client, unique: str) -> None:
    steps = ScriptedSend([])
    async with worker(temporal, unique, steps):
        await (await start(temporal, WELCOME, unique)).result()

    expires_at = steps.jobs[0].expires_at
    assert expires_at is not None
    assert expires_at > datetime(2026, 1, 1, tzinfo=UTC)


def error_type(error: WorkflowFailureError) -> str | None:
    assert isinstance(error.cause, ActivityError)
    assert isinstance(error.cause.cause, ApplicationError)
    return error.cause.cause.type

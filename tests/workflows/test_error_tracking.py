"""Final failures at an error tracker: one event for each, and nothing of the input."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from activities.failures import FailureActivities
from adapters import error_tracking
from adapters.error_tracking import Reporters, SentryReporter
from jobs.client import reading
from jobs.failures import FinalFailure
from tests.conftest import HEARTBEAT_INTERVAL
from tests.jobs.notes import FileNoteWorkflow, Note, NoteSteps
from tests.receivers import ErrorTracker
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER

SECRET = "a-secret-of-ada"  # noqa: S105 - planted, to be looked for

FAILURE = FinalFailure(job_id="email-1", run_id="r", workflow="SendEmail", type="EmailRefused")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_tracking, "FLUSH_S", 60.0)


@dataclass(frozen=True)
class History:
    client: Client

    async def attempts(self, job_id: str, run_id: str) -> int:
        return await reading.last_attempt(self.client, job_id, run_id)


@asynccontextmanager
async def working(
    client: Client, queue: str, tracker: ErrorTracker, steps: NoteSteps
) -> AsyncIterator[None]:
    reporters = Reporters.open(tracker.dsn)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[FileNoteWorkflow],
        activities=[
            *steps.all(),
            *FailureActivities(reporters, History(client)).all(),
        ],
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        interceptors=[FinalFailureInterceptor()],
    ):
        yield
    await reporters.close()


async def begin(client: Client, queue: str, behave: str) -> WorkflowHandle[object, object]:
    note = Note(text=SECRET, to=f"{SECRET}@example.com", behave=behave)
    return await client.start_workflow("FileNote", note, id=f"{queue}-{behave}", task_queue=queue)


async def test_a_failed_job_is_one_event_with_kind_id_and_type_and_nothing_of_its_input(
    client: Client, unique: str
) -> None:
    async with (
        ErrorTracker().running() as tracker,
        working(client, unique, tracker, NoteSteps()),
    ):
        with pytest.raises(WorkflowFailureError):
            await (await begin(client, unique, "refuse")).result()
    (event,) = tracker.events
    assert event["tags"] == {
        "kind": "FileNote",
        "error": "NoteRefused",
        "job_id": f"{unique}-refuse",
    }
    assert event["fingerprint"] == ["FileNote", "NoteRefused"]
    assert event["exception"]["values"][0]["type"] == "NoteRefused"
    assert event["contexts"]["job"]["attempts"] == 1
    assert SECRET.encode() not in tracker.raw
    assert not {"breadcrumbs", "extra", "request", "user", "server_name", "modules"} & set(event)
    assert b"stacktrace" not in tracker.raw


async def test_an_attempt_that_is_tried_again_and_a_cancelled_job_are_no_events(
    client: Client, unique: str
) -> None:
    steps = NoteSteps()
    async with (
        ErrorTracker().running() as tracker,
        working(client, unique, tracker, steps),
    ):
        retried = await begin(client, unique, "fail")
        while steps.begun != ["read", "file"]:  # noqa: ASYNC110 - the steps are other tests' too
            await asyncio.sleep(0.01)
        await retried.cancel()
        cancelled = await begin(client, unique, "wait")
        while steps.begun.count("file") < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        await cancelled.cancel()
        for handle in (retried, cancelled):
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    assert tracker.events == []


async def test_a_report_that_is_made_again_carries_the_same_id() -> None:
    async with ErrorTracker().running() as tracker:
        for _ in range(2):  # as after a worker that died between report and record
            reporter = SentryReporter(tracker.dsn)
            await reporter.report(FAILURE)
            await reporter.close()
    first, second = tracker.events
    assert first["event_id"] == second["event_id"]


async def test_a_tracker_that_is_away_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as deaf, caplog.at_level(logging.WARNING):
        deaf.bind(("127.0.0.1", 0))  # and doesn't listen
        reporter = SentryReporter(f"http://public@127.0.0.1:{deaf.getsockname()[1]}/1")
        for number in range(3):
            await reporter.report(FAILURE.model_copy(update={"run_id": str(number)}))
        await reporter.close()
    told = [record for record in caplog.records if record.name == "conveyor.errors"]
    assert len(told) == 1
    assert "failures are only logged" in told[0].message


def test_a_wrong_dsn_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="is no DSN: write https://KEY@HOST/PROJECT"):
        Reporters.open("tracker.example.com")

"""Why a job is where it is: each sentence with its real cause, on a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.worker import Worker

from jobs.client import Explanation, JobClient, Submission
from jobs.client.explaining import Reason
from jobs.client.limits import pause, resume, set_rate
from jobs.errors import JobNotFoundError
from jobs.status import JobState
from tests.jobs.broken_notes import BrokenNoteWorkflow
from tests.jobs.conftest import StartWorker
from tests.jobs.notes import FileNoteWorkflow
from tests.jobs.queues import steps_waiting
from tests.jobs.test_client import until
from workflows.sandbox import RUNNER

WELL = {"text": "x"}


async def until_told(jobs: JobClient, job_id: str, reason: Reason) -> Explanation:
    """Return the explanation once it names ``reason``."""
    while (told := await jobs.explain(job_id)).reason is not reason:
        assert not told.state.final, told
    return told


@asynccontextmanager
async def clerk(client: Client, unique: str) -> AsyncIterator[None]:
    """Run workflows of notes, and none of their steps."""
    async with Worker(
        client, task_queue=unique, workflows=[FileNoteWorkflow], workflow_runner=RUNNER
    ):
        yield


async def test_no_worker_polls_the_queue(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", WELL, Submission(key=unique))
    told = await jobs.explain(job.id)
    assert (told.reason, told.queue, told.state) == (Reason.NO_WORKER, unique, JobState.WAITING)
    assert (
        told.text == f"No worker polls the queue {unique!r}; none has within the last five minutes."
    )
    assert told.deadline is not None
    await jobs.hold(job.id, "look at it first")
    held = await jobs.explain(job.id)
    assert held.text.endswith("It will be held before its next step because “look at it first”.")


async def test_a_delayed_job_says_when_it_begins(jobs: JobClient, unique: str) -> None:
    options = Submission(key=unique, delay=timedelta(hours=1))
    submitted = await jobs.submit("note", WELL, options)
    job, told = await jobs.status(submitted.id), await jobs.explain(submitted.id)
    assert told.reason is Reason.DELAYED
    assert told.until == job.scheduled_at
    assert told.text == f"It is to begin at {job.scheduled_at:%Y-%m-%d %H:%M:%S} UTC."


async def test_others_are_before_it_on_a_busy_queue(
    jobs: JobClient, client: Client, unique: str
) -> None:
    async with clerk(client, unique):
        for number in range(4):
            await jobs.submit("note", WELL, Submission(key=f"{unique}-{number}"))
        for number in range(4):
            await until(jobs, f"note-{unique}-{number}", lambda seen: seen.max_attempts is not None)
        await steps_waiting(client, unique, 4)
        told = await until_told(jobs, f"note-{unique}-3", Reason.QUEUE_BUSY)
    assert (told.queue, told.ahead) == (unique, 3)
    assert told.text == (
        f"It waits behind about 3 others on the queue {unique!r}, whose workers are busy."
    )


async def test_the_queue_is_limited(
    jobs: JobClient, client: Client, unique: str, worker: StartWorker
) -> None:
    await set_rate(client, unique, 1 / 3600, reason="the printer is slow", author="ada")
    async with worker():
        for number in range(3):
            await jobs.submit("note", WELL, Submission(key=f"{unique}-{number}"))
        told = await until_told(jobs, f"note-{unique}-2", Reason.QUEUE_LIMITED)
    assert (told.author, told.queue) == ("ada", unique)
    assert told.text.endswith("which is limited to 1/h because “the printer is slow”.")


async def test_the_queue_is_paused(
    jobs: JobClient, client: Client, unique: str, worker: StartWorker
) -> None:
    paused = await pause(
        client, unique, reason="the relay is ill", author="ada", lasts=timedelta(hours=1)
    )
    job = await jobs.submit("note", WELL, Submission(key=unique))
    async with worker():
        told = await until_told(jobs, job.id, Reason.QUEUE_PAUSED)
        assert (told.author, told.until) == ("ada", paused.until)
        assert "by ada because “the relay is ill”, until 2" in told.text
        await resume(client, unique)
        assert (await jobs.wait(job.id)).state is JobState.COMPLETED


async def test_a_retry_is_due(jobs: JobClient, unique: str, worker: StartWorker) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "fail"}, Submission(key=unique))
    async with worker():
        told = await until_told(jobs, job.id, Reason.RETRY_DUE)
    assert told.until is not None
    assert told.text == (
        "Attempt 1 of 3 of its step 'file' (2 of 2) failed with NoteDelayed: the cabinet is "
        f"locked, the next is at {told.until:%Y-%m-%d %H:%M:%S} UTC."
    )
    assert told.advice == f"starter.py retry {job.id} --now makes it at once"


async def test_a_step_runs_and_tells_how_far_it_is(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "wait"}, Submission(key=unique))
    async with worker():
        await until(jobs, job.id, lambda seen: seen.progress.done > 0)
        told = await jobs.explain(job.id)
        assert told.reason is Reason.RUNNING
        assert told.text.startswith("Its step 'file' (2 of 2) runs since 2")
        assert told.text.endswith("attempt 1 of 3, 3 of 4 lines, 87.5 % of the job.")
        await jobs.cancel(job.id)
        await jobs.wait(job.id)
    ended = await jobs.explain(job.id)
    assert (ended.reason, ended.advice) == (
        Reason.CANCELLED,
        f"starter.py retry {job.id} goes on from the step that it had come to",
    )


async def test_a_job_is_held_by_a_failure(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "fill"}, Submission(key=unique))
    async with worker() as working:
        working.steps.full = True
        told = await until_told(jobs, job.id, Reason.HELD)
        assert told.deadline is not None
        assert told.since is not None
        assert told.text == (
            f"It is held since {told.since:%Y-%m-%d %H:%M:%S} UTC: step 'file' failed with "
            "CabinetFull: the cabinet is full: empty it. Its deadline is "
            f"{told.deadline:%Y-%m-%d %H:%M:%S} UTC, held or not."
        )
        assert told.advice is not None
        assert told.advice.endswith("starter.py release --error CabinetFull")
        await jobs.cancel(job.id)
        await jobs.wait(job.id)


async def test_a_job_and_its_step_are_paused_in_temporal(
    jobs: JobClient, client: Client, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "fail"}, Submission(key=unique))
    service, names = client.workflow_service, {"namespace": client.namespace, "identity": "ada"}
    async with worker():
        await until_told(jobs, job.id, Reason.RETRY_DUE)
        await service.pause_activity(
            PauseActivityRequest(
                execution=WorkflowExecution(workflow_id=job.id), id="2of2", reason="look", **names
            )
        )
        told = await until_told(jobs, job.id, Reason.PAUSED)
        assert told.text.endswith("by ada because “look”.")
        assert told.text.startswith("Its step 'file' (2 of 2) is paused in Temporal since 2")
        await service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(
                workflow_id=job.id, reason="wait", request_id=unique, **names
            )
        )
        told = await jobs.explain(job.id)
        assert told.text.startswith("It is paused in Temporal since 2")
        assert told.text.endswith("by ada because “wait”.")


async def test_a_bug_in_a_workflow_shows_and_the_next_deploy_goes_on(
    jobs: JobClient, client: Client, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", WELL, Submission(key=unique))
    async with Worker(
        client, task_queue=unique, workflows=[BrokenNoteWorkflow], workflow_runner=RUNNER
    ):
        told = await until_told(jobs, job.id, Reason.STUCK)
    assert told.error is not None
    assert (told.error.type, told.error.message) == (
        "RuntimeError",
        "a bug in the code of the workflow",
    )
    assert "RuntimeError: a bug in the code of the workflow. It is tried again" in told.text
    async with worker():
        assert (await jobs.wait(job.id)).state is JobState.COMPLETED


@pytest.mark.parametrize(
    ("behave", "reason", "text"),
    [
        ("well", Reason.COMPLETED, "It completed at 2"),
        (
            "refuse",
            Reason.FAILED,
            " at attempt 1 of 3 with NoteRefused: the note is no good: write another.",
        ),
        ("break", Reason.FAILED, " with NoteBroken: no step was begun."),
    ],
)
async def test_an_ended_job_says_how_it_ended(
    jobs: JobClient, unique: str, worker: StartWorker, behave: str, reason: Reason, text: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": behave}, Submission(key=unique))
    async with worker():
        await jobs.wait(job.id)
    told = await jobs.explain(job.id)
    assert (told.reason, told.deadline) == (reason, None)
    assert text in told.text


async def test_a_terminated_job_says_why(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", WELL, Submission(key=unique))
    await jobs.terminate(job.id, "by mistake")
    told = await jobs.explain(job.id)
    assert told.reason is Reason.TERMINATED
    assert told.text.endswith("because “by mistake”.")


async def test_a_job_whose_deadline_passed_says_so(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", WELL, Submission(key=unique, deadline=timedelta(seconds=1)))
    await jobs.wait(job.id)
    told = await jobs.explain(job.id)
    assert told.reason is Reason.TIMED_OUT
    assert told.text.endswith(" before it was done.")
    assert told.advice == f"starter.py retry {job.id} goes on from the step that it had come to"


async def test_another_owners_job_is_not_explained(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", WELL, Submission(key=unique, owner="ada"))
    with pytest.raises(JobNotFoundError):
        await jobs.of("bob").explain(job.id)

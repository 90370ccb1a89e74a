"""A job that failed since jobs of its own failed goes on by having those done again."""

from temporalio.client import Client
from temporalio.worker import Worker

from jobs.client import JobClient, reading, retrying
from jobs.status import JobState
from tests.jobs.couriers import CourierWorkflow
from tests.jobs.notes import FileNoteWorkflow, Note, NoteSteps
from workflows.sandbox import RUNNER


async def test_only_the_jobs_that_failed_are_done_again(client: Client, unique: str) -> None:
    steps, jobs = NoteSteps(), JobClient(client)
    async with Worker(
        client,
        task_queue=unique,
        workflows=[CourierWorkflow, FileNoteWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        await client.start_workflow(
            CourierWorkflow.run,
            Note(text="x", behave="refuse"),
            id=unique,
            task_queue=unique,
        )
        failed = await jobs.wait(unique)
        assert (failed.state, failed.error and failed.error.type) == (JobState.FAILED, "NotFiled")
        assert sorted(steps.begun) == ["file", "file", "read", "read", "read"]
        steps.mended = True
        steps.begun.clear()
        described = await reading.describe(client, unique)
        retried = await retrying.retry(client, described, now=False)
        final = await jobs.wait(unique)
    assert retried.how == f"from the failed job that it had started, {unique}-1"
    assert (final.state, final.run_id) == (JobState.COMPLETED, retried.run_id)
    assert steps.begun == ["read", "file"], "one note, and nothing of the courier's own"

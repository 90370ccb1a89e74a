"""The step that every workflow is made of."""

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from jobs.attributes import JOB_STATE
from tests.conftest import RUNNER
from tests.workflows.one_step import Note, NotesWorkflow, Steps
from workflows.base import JobWorkflow


async def run(client: Client, unique: str, steps: Steps, text: str) -> Note:
    async with Worker(
        client,
        task_queue=unique,
        workflows=[NotesWorkflow],
        activities=[steps.work],
        workflow_runner=RUNNER,
    ):
        return await client.execute_workflow(
            NotesWorkflow.run, Note(text=text), id=unique, task_queue=unique
        )


async def test_a_step_cut_by_a_shutdown_runs_again_without_counting(
    temporal: Client, unique: str
) -> None:
    steps = Steps(failures=7)
    assert await run(temporal, unique, steps, "WorkerShutdown") == Note(text="WorkerShutdown")
    assert steps.calls == ["1of2"] * 8


async def test_a_step_that_loses_its_worker_twice_still_completes(
    client: Client, unique: str
) -> None:
    steps = Steps(failures=2)
    assert await run(client, unique, steps, "hang") == Note(text="hang")


async def test_a_step_that_loses_its_worker_three_times_is_poison(
    client: Client, unique: str
) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(client, unique, Steps(failures=3), "hang")
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "PoisonJob"


async def test_an_ordinary_failure_is_retried_by_its_policy(temporal: Client, unique: str) -> None:
    steps = Steps(failures=9)
    with pytest.raises(WorkflowFailureError) as caught:
        await run(temporal, unique, steps, "Oops")
    assert isinstance(caught.value.cause, ActivityError)
    assert len(steps.calls) == 5


async def test_a_held_job_begins_no_step_until_it_is_released(client: Client, unique: str) -> None:
    steps = Steps(failures=0)
    handle = await client.start_workflow(
        NotesWorkflow.run,
        Note(text="x"),
        id=unique,
        task_queue=unique,
        start_signal="hold",
        start_signal_args=["look at it first"],
    )
    async with Worker(
        client,
        task_queue=unique,
        workflows=[NotesWorkflow],
        activities=[steps.work],
        workflow_runner=RUNNER,
    ):
        while (await handle.describe()).typed_search_attributes.get(JOB_STATE) != "held":
            pass
        assert steps.calls == []
        await handle.signal(JobWorkflow.release)
        assert await handle.result() == Note(text="x")
    assert (await handle.describe()).typed_search_attributes.get(JOB_STATE) is None

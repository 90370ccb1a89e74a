"""The step that every workflow is made of."""

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.worker import Worker

from jobs.attributes import JOB_ERROR, JOB_STATE
from tests.conftest import HEARTBEAT_INTERVAL
from tests.workflows.one_step import (
    Note,
    NotesWorkflow,
    SoonLost,
    Steps,
    TwoNotesWorkflow,
    TwoRunsWorkflow,
)
from workflows.base import LONGEST_APART, JobWorkflow
from workflows.sandbox import RUNNER


def worker(client: Client, unique: str, steps: Steps, *, lost: int = 0) -> Worker:
    """Return a worker whose jobs lose their first ``lost`` steps, where these don't beat."""
    return Worker(
        client,
        task_queue=unique,
        workflows=[NotesWorkflow, TwoNotesWorkflow, TwoRunsWorkflow],
        activities=[steps.work],
        workflow_runner=RUNNER,
        interceptors=[SoonLost(lost)],
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
    )


async def run(client: Client, unique: str, steps: Steps, text: str) -> Note:
    lost = steps.failures if text in {"hang", "stall"} else 0
    async with worker(client, unique, steps, lost=lost):
        return await client.execute_workflow(
            NotesWorkflow.run, Note(text=text), id=unique, task_queue=unique
        )


async def test_a_step_cut_by_a_shutdown_runs_again_without_counting(
    temporal: Client, unique: str
) -> None:
    steps = Steps(failures=7)
    assert await run(temporal, unique, steps, "WorkerShutdown") == Note(text="WorkerShutdown")
    assert steps.calls == ["1of2"] * 8


async def test_a_step_that_lost_its_worker_twice_waits_apart_from_what_killed_it_and_completes(
    client: Client, unique: str
) -> None:
    assert await run(client, unique, Steps(failures=2), "hang") == Note(text="hang")
    handle = client.get_workflow_handle(unique)
    waits = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]
    assert len(waits) == 1
    assert waits[0] <= LONGEST_APART


async def test_a_step_that_loses_its_worker_three_times_is_poison(
    client: Client, unique: str
) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(client, unique, Steps(failures=3), "hang")
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "PoisonJob"


async def test_a_step_that_is_cut_off_from_one_worker_three_times_is_no_poison(
    client: Client, unique: str
) -> None:
    assert await run(client, unique, Steps(failures=3), "stall") == Note(text="stall")


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
    async with worker(client, unique, steps):
        await until_held(handle)
        assert steps.calls == []
        await handle.signal(JobWorkflow.release)
        assert await handle.result() == Note(text="x")
    assert (await handle.describe()).typed_search_attributes.get(JOB_STATE) is None


async def until_held(handle: WorkflowHandle[NotesWorkflow, Note]) -> None:
    while (await handle.describe()).typed_search_attributes.get(JOB_STATE) != "held":
        pass


async def test_a_transient_error_that_needs_a_person_is_tried_before_it_holds_the_job(
    temporal: Client, unique: str
) -> None:
    steps = Steps(failures=5)
    async with worker(temporal, unique, steps):
        handle = await temporal.start_workflow(
            NotesWorkflow.run, Note(text="DatabaseOutdated"), id=unique, task_queue=unique
        )
        await until_held(handle)
        assert len(steps.calls) == 5
        assert (await handle.describe()).typed_search_attributes.get(JOB_ERROR) == (
            "DatabaseOutdated"
        )
        await handle.signal(JobWorkflow.release)
        assert await handle.result() == Note(text="DatabaseOutdated")
    assert len(steps.calls) == 6
    assert (await handle.describe()).typed_search_attributes.get(JOB_ERROR) is None


async def test_a_hold_outlives_the_end_of_a_run_that_goes_on_in_another(
    client: Client, unique: str
) -> None:
    steps = Steps(failures=0)
    async with worker(client, unique, steps):
        handle = await client.start_workflow(
            TwoRunsWorkflow.run,
            Note(text="x"),
            id=unique,
            task_queue=unique,
        )
        await until_held(client.get_workflow_handle(unique))
        assert steps.calls == ["1of2"]
        await client.get_workflow_handle(unique).signal(JobWorkflow.release)
        assert await handle.result() == Note(text="again")
    assert steps.calls == ["1of2", "1of2"]


async def test_a_cancel_that_comes_while_a_step_completes_ends_the_job_before_the_next(
    client: Client, unique: str
) -> None:
    steps = Steps()
    async with worker(client, unique, steps):
        handle = await client.start_workflow(
            TwoNotesWorkflow.run, Note(text="deaf"), id=unique, task_queue=unique
        )
        await steps.begun.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert steps.calls == ["1of2"]


async def test_a_held_job_can_be_cancelled(client: Client, unique: str) -> None:
    steps = Steps(failures=0)
    async with worker(client, unique, steps):
        handle = await client.start_workflow(
            NotesWorkflow.run,
            Note(text="x"),
            id=unique,
            task_queue=unique,
            start_signal="hold",
            start_signal_args=["look at it first"],
        )
        await until_held(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert steps.calls == []

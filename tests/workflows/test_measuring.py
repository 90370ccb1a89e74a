"""What a worker counts of jobs and steps, as Prometheus reads it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.runtime import Runtime
from temporalio.worker import Worker

from activities.measuring import StepMetrics
from adapters.telemetry import open_runtime
from jobs.client import connect
from jobs.errors import InvalidInputError
from jobs.metrics import error_label
from tests.conftest import HEARTBEAT_INTERVAL
from tests.end_to_end.test_worker import free_port
from tests.jobs.notes import FileNoteWorkflow, Note, NoteSteps
from tests.scraping import Sample, scrape, total
from workflows.measuring import JobMetrics
from workflows.sandbox import RUNNER


@pytest.fixture(scope="module")
def opened() -> tuple[Runtime, int]:
    """A runtime and the port of its metrics: one that no other process took before it."""
    while True:
        port = free_port()
        with suppress(InvalidInputError):
            return open_runtime(metrics_port=port), port


@pytest.fixture(scope="module")
def runtime(opened: tuple[Runtime, int]) -> Runtime:
    return opened[0]


@pytest.fixture(scope="module")
def port(opened: tuple[Runtime, int]) -> int:
    return opened[1]


@asynccontextmanager
async def served(
    client: Client, runtime: Runtime, queue: str, steps: NoteSteps | None = None
) -> AsyncIterator[Client]:
    """A client whose jobs on ``queue`` are run, and measured by ``runtime``."""
    measured = await connect(
        address=client.service_client.config.target_host,
        runtime=runtime,
    )
    async with Worker(
        measured,
        task_queue=queue,
        workflows=[FileNoteWorkflow],
        activities=(steps or NoteSteps()).all(),
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        interceptors=[StepMetrics(runtime.metric_meter), JobMetrics()],
    ):
        yield measured


async def begin(client: Client, queue: str, behave: str) -> WorkflowHandle[object, object]:
    note = Note(text="a note", behave=behave)
    return await client.start_workflow("FileNote", note, id=f"{queue}-job", task_queue=queue)


def of_queue(port: int, queue: str) -> Sequence[Sample]:
    found = scrape(f"http://127.0.0.1:{port}/metrics")
    return [s for s in found if queue in {s.labels.get("task_queue"), s.labels.get("queue")}]


async def test_a_job_that_ends_well_is_counted_once_with_its_duration(
    client: Client, runtime: Runtime, port: int, unique: str
) -> None:
    async with served(client, runtime, unique) as measured:
        await (await begin(measured, unique, "well")).result()
    found = list(of_queue(port, unique))
    assert total(found, "conveyor_jobs_finished_total", outcome="completed") == 1
    assert total(found, "conveyor_jobs_finished_total") == 1
    assert total(found, "conveyor_job_duration_seconds_count", outcome="completed") == 1
    assert total(found, "conveyor_step_wait_seconds_count") == 2


async def test_a_job_that_fails_is_counted_under_the_type_of_its_error(
    client: Client, runtime: Runtime, port: int, unique: str
) -> None:
    before = scrape(f"http://127.0.0.1:{port}/metrics")
    async with served(client, runtime, unique) as measured:
        handle = await begin(measured, unique, "refuse")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    after = scrape(f"http://127.0.0.1:{port}/metrics")
    found = list(of_queue(port, unique))
    assert total(found, "conveyor_job_failures_total", error="NoteRefused") == 1
    assert total(found, "conveyor_jobs_finished_total", outcome="failed") == 1
    refused = {"step": "notes.file", "error": "NoteRefused"}
    failures = "conveyor_step_failures_total"
    assert total(after, failures, **refused) - total(before, failures, **refused) == 1


async def test_a_cancelled_job_is_no_failure(
    client: Client, runtime: Runtime, port: int, unique: str
) -> None:
    steps = NoteSteps()
    async with served(client, runtime, unique, steps) as measured:
        handle = await begin(measured, unique, "wait")
        while "file" not in steps.begun:  # noqa: ASYNC110 - the steps are other tests' too
            await asyncio.sleep(0.01)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, CancelledError)
    found = list(of_queue(port, unique))
    assert total(found, "conveyor_jobs_finished_total", outcome="cancelled") == 1
    assert total(found, "conveyor_jobs_finished_total") == 1
    assert total(found, "conveyor_job_failures_total") == 0


async def test_no_label_names_a_job(
    client: Client, runtime: Runtime, port: int, unique: str
) -> None:
    async with served(client, runtime, unique) as measured:
        await (await begin(measured, unique, "well")).result()
    found = scrape(f"http://127.0.0.1:{port}/metrics")
    assert not any(f"{unique}-job" in value for s in found for value in s.labels.values())


def test_a_taken_port_is_named_with_the_fix(runtime: Runtime, port: int) -> None:
    with pytest.raises(InvalidInputError, match=f"127.0.0.1:{port} is taken: choose another port"):
        open_runtime(metrics_port=port)


def test_an_address_of_another_machine_is_refused_with_the_fix() -> None:
    with pytest.raises(InvalidInputError, match="set CONVEYOR_METRICS_HOST to an IP address"):
        open_runtime("192.0.2.1", free_port())


@pytest.mark.parametrize("name", ["", "no name", "x" * 65, "ada@example.com"])
def test_what_is_no_class_name_is_no_label(name: str) -> None:
    assert error_label(name) == "other"

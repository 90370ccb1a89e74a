"""Jobs that ended badly go on from the failed step, and nothing finished is done again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client

from jobs.client import JobClient, JobFilter, Submission, reading, reset_points
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError
from jobs.status import JobState
from jobs.traces import Erased
from tests.jobs.conftest import StartWorker

PATIENCE_S = 120


async def state_of(jobs: JobClient, job_id: str, wanted: JobState) -> None:
    """Wait until a job is in a state."""
    async with asyncio.timeout(PATIENCE_S):
        while (await jobs.status(job_id)).state is not wanted:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)


async def seen(found: Callable[[], object]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not found():  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.05)


async def test_a_failed_job_goes_on_from_its_failed_step(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    options = Submission(key=unique, owner=unique, tags={"a": "b"}, priority=2)
    job = await jobs.submit("note", {"text": "x", "behave": "refuse"}, options)
    async with worker() as working:
        assert (await jobs.wait(job.id)).state is JobState.FAILED
        working.steps.mended = True
        retried = await jobs.retry(job.id)
        final = await jobs.wait(job.id)
    assert retried.how == "from the failed step, 2of2 notes.file"
    assert (final.state, final.result, final.run_id) == (
        JobState.COMPLETED,
        {"text": "x"},
        retried.run_id,
    )
    assert (final.owner, final.tags, final.priority) == (unique, {"a": "b"}, 2)
    assert working.steps.begun == ["read", "file", "file"]


async def test_a_retried_job_is_listed_once_and_without_its_old_error(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit(
        "note", {"text": "x", "behave": "refuse"}, Submission(key=unique, owner=unique)
    )
    async with worker() as working:
        await jobs.wait(job.id)
        working.steps.mended = True
        await jobs.retry(job.id)
        final = await jobs.wait(job.id)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            page = await jobs.list(JobFilter(owner=unique))
            if [found.state for found in page.jobs] == [JobState.COMPLETED]:
                break
            await asyncio.sleep(0.1)
    assert [(found.id, found.error) for found in page.jobs] == [(job.id, None)]
    assert final.error is None
    failed = await jobs.list(JobFilter(owner=unique, state=JobState.FAILED, error="NoteRefused"))
    assert failed.jobs == []
    again = await jobs.submit(
        "note", {"text": "x", "behave": "refuse"}, Submission(key=unique, owner=unique)
    )
    assert (again.created, again.run_id) == (False, final.run_id), "the fingerprint is kept"


async def test_each_final_failure_is_recorded_once(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "refuse"}, Submission(key=unique))
    async with worker() as working:
        first = await jobs.wait(job.id)
        await jobs.retry(job.id)
        second = await jobs.wait(job.id)
    reported = [(failure.run_id, failure.type) for failure in working.reports.seen]
    assert reported == [(first.run_id, "NoteRefused"), (second.run_id, "NoteRefused")]


async def test_a_job_that_failed_before_any_step_begins_anew(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "break"}, Submission(key=unique))
    async with worker():
        await jobs.wait(job.id)
        retried = await jobs.retry(job.id)
        assert (await jobs.wait(job.id)).run_id == retried.run_id
    assert retried.how == "from the beginning: no step had begun"


async def test_a_cancelled_job_goes_on_from_the_step_it_was_at(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "wait"}, Submission(key=unique))
    async with worker() as working:
        await seen(lambda: working.steps.begun == ["read", "file"])
        await jobs.cancel(job.id)
        assert (await jobs.wait(job.id)).state is JobState.CANCELLED
        working.steps.mended = True
        retried = await jobs.retry(job.id)
        final = await jobs.wait(job.id)
    assert (retried.step, final.state) == ("2of2 notes.file", JobState.COMPLETED)
    assert working.steps.begun == ["read", "file", "file"]


async def test_a_terminated_job_goes_on_from_the_step_it_was_at(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "wait"}, Submission(key=unique))
    async with worker() as working:
        await seen(lambda: working.steps.begun == ["read", "file"])
        await jobs.terminate(job.id, "it hangs")
        assert (await jobs.wait(job.id)).state is JobState.TERMINATED
        with pytest.raises(ConflictError, match="already ended"):
            await jobs.terminate(job.id, "again")
        working.steps.mended = True
        assert (await jobs.retry(job.id)).step == "2of2 notes.file"
        assert (await jobs.wait(job.id)).state is JobState.COMPLETED


async def test_a_job_that_no_worker_had_taken_begins_anew(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    options = Submission(key=unique, owner=unique, delay=timedelta(hours=1))
    job = await jobs.submit("note", {"text": "x"}, options)
    await jobs.terminate(job.id, "a mistake")
    retried = await jobs.retry(job.id)
    assert retried.how == "from the beginning: no worker had taken it"
    async with worker():
        final = await jobs.wait(job.id)
    assert (final.state, final.owner, final.run_id) == (JobState.COMPLETED, unique, retried.run_id)


async def test_a_job_that_timed_out_has_its_whole_deadline_again(
    jobs: JobClient, worker: StartWorker, client: Client, unique: str
) -> None:
    options = Submission(key=unique, deadline=timedelta(seconds=20))
    async with worker() as working:
        job = await jobs.submit("note", {"text": "x", "behave": "wait"}, options)
        assert (await jobs.wait(job.id)).state is JobState.TIMED_OUT
        working.steps.mended = True
        retried = await jobs.retry(job.id)
        final = await jobs.wait(job.id)
    assert retried.how == "from the step it was at, 2of2 notes.file"
    assert (final.state, working.steps.begun) == (JobState.COMPLETED, ["read", "file", "file"])
    run = await client.get_workflow_handle(job.id).describe()
    timeout = run.raw_description.execution_config.workflow_execution_timeout
    assert timeout.ToTimedelta() == options.deadline


async def test_a_waiting_attempt_is_made_at_once(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "fail"}, Submission(key=unique))
    async with worker() as working:
        await state_of(jobs, job.id, JobState.RETRYING)
        with pytest.raises(ConflictError, match="--now"):
            await jobs.retry(job.id)
        working.steps.mended = True
        retried = await jobs.retry(job.id, now=True)
        final = await jobs.wait(job.id)
    assert retried.run_id == job.run_id
    assert (final.state, working.steps.begun) == (JobState.COMPLETED, ["read", "file", "file"])


async def test_what_needs_no_retry_is_refused(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    waiting = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    for now in (False, True):
        with pytest.raises(ConflictError, match="is waiting: only one that failed"):
            await jobs.retry(waiting.id, now=now)
    assert await reset_points.find(jobs.temporal, waiting.id) is None
    async with worker():
        await jobs.wait(waiting.id)
        with pytest.raises(ConflictError, match="nothing to retry"):
            await jobs.retry(waiting.id)


async def test_another_owners_job_is_neither_retried_nor_terminated(
    jobs: JobClient, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, owner=unique))
    stranger = jobs.of("stranger")
    for act in (stranger.retry(job.id), stranger.terminate(job.id, "mine"), stranger.retry("no")):
        with pytest.raises(JobNotFoundError):
            await act
    assert not (await jobs.status(job.id)).state.final


async def test_counts_are_of_jobs_and_not_of_the_runs_that_retries_left_behind(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    mine = jobs.of(unique)
    made = [await mine.submit("note", {"text": "x", "behave": "refuse"}) for _ in range(3)]
    async with worker() as working:
        for job in made:
            await mine.wait(job.id)
        await mine.retry(made[2].id)
        await mine.wait(made[2].id)
        await counted(mine, "error", [(None, None, "NoteRefused", 3)])
        working.steps.mended = True
        await mine.retry(made[2].id)
        await mine.wait(made[2].id)
    await counted(mine, "error", [(None, None, "NoteRefused", 2)])
    await counted(mine, "state", [(None, "completed", None, 1), (None, "failed", None, 2)])
    await counted(mine, "kind", [("note", "completed", None, 1), ("note", "failed", None, 2)])
    (group,) = await mine.count("error")
    assert group.first_at is not None
    assert group.last_at is not None
    assert group.first_at < group.last_at
    assert group.example in {made[0].id, made[1].id}


async def counted(jobs: JobClient, by: str, wanted: list[tuple[object, ...]]) -> None:
    """Wait until the index counts so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = [(row.kind, row.state, row.error, row.count) for row in await jobs.count(by)]
            if sorted(rows, key=str) == sorted(wanted, key=str):
                return
            await asyncio.sleep(0.1)


async def test_the_log_of_a_retried_job_says_so(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "refuse"}, Submission(key=unique))
    async with worker() as working:
        await jobs.wait(job.id)
        working.steps.mended = True
        await jobs.retry(job.id)
        await jobs.wait(job.id)
    told = [line.text async for line in jobs.logs(job.id)]
    assert "retried from the failed step, 2of2 notes.file" in told
    assert not [text for text in told if "workflow task failed" in text]


async def test_a_job_is_deleted_with_its_traces_and_its_older_runs_before_the_newest(
    jobs: JobClient, worker: StartWorker, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await jobs.submit(
        "note", {"text": "x", "behave": "refuse"}, Submission(key=unique, owner=unique)
    )
    traces, deleted = RememberedTraces(), list[str]()
    with pytest.raises(ConflictError, match="cancel it"):
        await jobs.delete(job.id, traces)
    async with worker():
        await jobs.wait(job.id)
        retried = await jobs.retry(job.id)
        await jobs.wait(job.id)
    await both_runs_failed(jobs, job.id)

    async def delete(_: Client, execution: WorkflowExecution) -> None:
        deleted.append(execution.run_id)  # the server takes half a minute

    monkeypatch.setattr(reading, "delete", delete)
    erased = await jobs.delete(job.id, traces, results=True)
    assert (erased.files, traces.asked) == (1, [("note", job.id, retried.run_id, True)])
    assert deleted == [job.run_id, retried.run_id]


async def both_runs_failed(jobs: JobClient, job_id: str) -> None:
    """Wait until the index knows how a job's two runs ended."""
    query = f"WorkflowId = '{job_id}' AND ExecutionStatus = 'Failed'"
    async with asyncio.timeout(PATIENCE_S):
        while (await jobs.temporal.count_workflows(query)).count < 2:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)


@dataclass
class RememberedTraces:
    """What a job left behind: one file."""

    asked: list[tuple[str, str, str, bool]] = field(default_factory=list)

    async def erase(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        self.asked.append((kind, job_id, run_id, results))
        return Erased(files=1)


async def test_open_jobs_are_cancelled_by_filter(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    options = Submission(owner=unique, tags={"batch": "1"})
    made = [await jobs.submit("note", {"text": "x"}, options) for _ in range(3)]
    other = await jobs.submit("note", {"text": "x"}, Submission(key=unique, owner=unique))
    wanted = JobFilter(owner=unique, tag=("batch", "1"))
    with pytest.raises(InvalidInputError, match=r"^filter: "):
        await jobs.cancel_matching(JobFilter())
    async with asyncio.timeout(PATIENCE_S):
        while (await jobs.cancel_matching(wanted, dry_run=True)).kinds != {"note": 3}:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    assert (await jobs.cancel_matching(wanted)).count == 3
    async with worker():
        ends = [(await jobs.wait(job.id)).state for job in (*made, other)]
    assert ends == [*[JobState.CANCELLED] * 3, JobState.COMPLETED]

"""Holding jobs and releasing them, on a real server."""

from datetime import timedelta

import pytest

from jobs.client import JobClient, JobFilter, Submission
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError
from jobs.status import JobState
from tests.jobs.conftest import StartWorker
from tests.jobs.test_client import until, until_listed

FULL = {"text": "x", "behave": "fill"}


async def test_a_job_held_with_no_worker_begins_no_step_when_one_comes(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    await jobs.hold(job.id, "look at it first")
    with pytest.raises(ConflictError, match="held already: look at it first"):
        await jobs.hold(job.id, "again")
    async with worker() as working:
        job = await until(jobs, job.id, lambda seen: seen.state is JobState.HELD)
        assert (job.held_because, working.steps.begun) == ("look at it first", [])
        await jobs.release(job.id)
        assert (await jobs.wait(job.id)).state is JobState.COMPLETED


async def test_a_hold_that_was_taken_back_before_a_worker_saw_it_is_none(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    await jobs.hold(job.id, "wait")
    await jobs.release(job.id)
    with pytest.raises(ConflictError, match="is not held: it is waiting"):
        await jobs.release(job.id)
    async with worker():
        assert (await jobs.wait(job.id)).state is JobState.COMPLETED


async def test_what_has_ended_is_neither_held_nor_released(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    async with worker():
        await jobs.wait(job.id)
    with pytest.raises(ConflictError, match="has already ended: it is completed"):
        await jobs.hold(job.id, "too late")
    with pytest.raises(ConflictError, match="is not held: it is completed"):
        await jobs.release(job.id)


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
async def test_a_hold_needs_a_reason(jobs: JobClient, unique: str, reason: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(InvalidInputError, match="reason: say in a line"):
        await jobs.hold(job.id, reason)


async def test_another_owners_job_is_not_found(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, owner="ada"))
    for act in (jobs.of("bob").hold(job.id, "mine"), jobs.of("bob").release(job.id)):
        with pytest.raises(JobNotFoundError):
            await act


async def test_a_failure_that_a_person_must_mend_holds_the_job_until_it_is_released(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", FULL, Submission(key=unique, owner=unique))
    async with worker() as working:
        working.steps.full = True
        job = await until(jobs, job.id, lambda seen: seen.state is JobState.HELD)
        assert job.held_because == "CabinetFull: the cabinet is full: empty it"
        assert job.error is not None
        assert (job.error.type, job.error.message) == (
            "CabinetFull",
            "the cabinet is full: empty it",
        )
        wanted = JobFilter(owner=unique, state=JobState.HELD, error="CabinetFull")
        assert [held.id for held in await until_listed(jobs, wanted, 1)] == [job.id]
        working.steps.full = False
        await jobs.release(job.id)
        done = await jobs.wait(job.id)
    assert (done.state, done.attempts, done.error) == (JobState.COMPLETED, 1, None)
    assert working.steps.begun == ["read", "file", "file"]
    assert working.reports.seen == []


async def test_a_release_by_filter_counts_first_and_then_lets_all_go(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    wanted = JobFilter(owner=unique)
    for number in range(3):
        await jobs.submit("note", FULL, Submission(key=f"{unique}-{number}", owner=unique))
    other = await jobs.submit("note", FULL, Submission(key=f"{unique}-other", owner=f"{unique}-o"))
    async with worker() as working:
        working.steps.full = True
        await until_listed(jobs, JobFilter(owner=unique, state=JobState.HELD), 3)
        await until(jobs, other.id, lambda seen: seen.state is JobState.HELD)
        working.steps.full = False
        counted = await jobs.release_matching(wanted, dry_run=True)
        assert (counted.count, counted.errors, counted.dry_run) == (3, {"CabinetFull": 3}, True)
        assert (await jobs.release_matching(wanted)).count == 3
        for number in range(3):
            assert (await jobs.wait(f"note-{unique}-{number}")).state is JobState.COMPLETED
        assert (await jobs.status(other.id)).state is JobState.HELD
        await jobs.release(other.id)
        await jobs.wait(other.id)


async def test_a_release_by_an_empty_filter_is_refused(jobs: JobClient) -> None:
    for asking in (jobs, jobs.of("ada")):
        with pytest.raises(InvalidInputError, match="filter: name at least one of"):
            await asking.release_matching(JobFilter())


async def test_a_delayed_job_that_is_to_be_held_is_still_scheduled(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    options = Submission(key=unique, delay=timedelta(hours=1))
    job = await jobs.submit("note", {"text": "x"}, options)
    assert (await jobs.hold(job.id, "not yet")).state is JobState.SCHEDULED
    await jobs.release(job.id)


async def test_a_job_that_ended_while_it_was_held_goes_on_from_the_step_that_held_it(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", FULL, Submission(key=unique))
    async with worker() as working:
        working.steps.full = True
        await until(jobs, job.id, lambda seen: seen.state is JobState.HELD)
        await jobs.terminate(job.id, "as its deadline would")
        working.steps.full = False
        await jobs.retry(job.id)
        done = await jobs.wait(job.id)
    assert (done.state, done.held_because) == (JobState.COMPLETED, None)
    assert working.steps.begun == ["read", "file", "file"]

"""Submitting jobs and following them, on a real server."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from jobs.client import JobClient, JobFilter, OnConflict, Submission
from jobs.errors import (
    ConflictError,
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    WaitTimedOutError,
)
from jobs.status import JobState, JobStatus
from tests.jobs.conftest import StartWorker


async def until(jobs: JobClient, job_id: str, reached: Callable[[JobStatus], bool]) -> JobStatus:
    """Return the job when it has ``reached`` what a test waits for."""
    async for job in jobs.watch(job_id):
        if reached(job):
            return job
    pytest.fail("the job ended before")


async def until_listed(jobs: JobClient, wanted: JobFilter, count: int) -> list[JobStatus]:
    """Return the listed jobs when there are ``count``: the index lags a few milliseconds."""
    for _ in range(1200):
        if len(found := (await jobs.list(wanted)).jobs) >= count:
            return list(found)
        await asyncio.sleep(0.1)  # the server answers so many lists a second
    pytest.fail(f"fewer than {count} jobs are listed")


async def test_a_job_goes_from_submission_to_result(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    options = Submission(key=unique, owner="ada", tags={"team": "x"}, priority=2)
    job = await jobs.submit("note", {"text": "hello", "to": "ada@example.com"}, options)
    assert (job.id, job.state, job.created) == (f"note-{unique}", JobState.WAITING, True)
    assert job.input == {
        "text": "hello",
        "to": "***",
        "behave": "well",
        "lines": [],
        "attachments": [],
    }
    async with worker():
        done = await jobs.wait(job.id)
    assert (done.state, done.result, done.progress.percent) == (
        JobState.COMPLETED,
        {"text": "hello"},
        100,
    )
    assert (done.owner, done.tags, done.priority) == ("ada", {"team": "x"}, 2)
    assert (done.attempts, done.max_attempts) == (1, 3)
    assert done.finished_at is not None
    assert done.started_at is not None
    assert await jobs.result(job.id) == {"text": "hello"}
    assert done.links.temporal_ui == (
        f"http://127.0.0.1:8233/namespaces/default/workflows/note-{unique}"
    )


async def test_the_input_shown_later_hides_personal_data(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x", "to": "ada@example.com"}, Submission(key=unique))
    shown = await jobs.status(job.id, with_input=True)
    assert shown.input is not None
    assert shown.input["to"] == "***"


async def test_the_same_submission_again_returns_the_job(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    options = Submission(key=unique)
    first = await jobs.submit("note", {"text": "x"}, options)
    again = await jobs.submit("note", {"text": "x"}, options)
    assert (again.created, again.run_id) == (False, first.run_id)
    async with worker():
        await jobs.wait(first.id)
    after = await jobs.submit("note", {"text": "x"}, options)
    assert (after.created, after.run_id, after.state) == (
        False,
        first.run_id,
        JobState.COMPLETED,
    )


async def test_another_payload_under_a_taken_id_is_a_conflict(jobs: JobClient, unique: str) -> None:
    await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(ConflictError, match=r"another payload: its fingerprint is \w{16}"):
        await jobs.submit("note", {"text": "y"}, Submission(key=unique))


async def test_a_taken_id_is_always_a_conflict_when_asked_for(jobs: JobClient, unique: str) -> None:
    await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(ConflictError, match="exists"):
        await jobs.submit(
            "note", {"text": "x"}, Submission(key=unique, on_conflict=OnConflict.ERROR)
        )


async def test_a_delayed_job_that_was_cancelled_is_run_anew(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    options = Submission(key=unique, delay=timedelta(hours=1))
    first = await jobs.submit("note", {"text": "x"}, options)
    async with worker() as working:
        await jobs.cancel(first.id)
        assert (await jobs.wait(first.id)).state is JobState.CANCELLED
    assert working.steps.begun == []
    again = await jobs.submit("note", {"text": "x"}, options)
    assert again.created
    assert again.run_id != first.run_id


async def test_a_running_job_is_replaced_when_asked_for(jobs: JobClient, unique: str) -> None:
    first = await jobs.submit("note", {"text": "x"}, Submission(key=unique, owner=unique))
    options = Submission(key=unique, owner=unique, on_conflict=OnConflict.REPLACE)
    second = await jobs.submit("note", {"text": "y"}, options)
    assert second.created
    assert second.run_id != first.run_id
    async with asyncio.timeout(120):
        while True:
            found = (await jobs.list(JobFilter(owner=unique))).jobs
            if [job.run_id for job in found] == [second.run_id]:
                return
            await asyncio.sleep(0.1)  # the index lags a few milliseconds


async def test_a_delayed_job_is_scheduled_and_says_when(jobs: JobClient, unique: str) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, run_at=due))
    assert job.state is JobState.SCHEDULED
    assert job.scheduled_at is not None
    assert abs(job.scheduled_at - due) < timedelta(minutes=1)


async def test_an_instant_in_the_past_means_now(jobs: JobClient, unique: str) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, run_at=past))
    assert job.state is JobState.WAITING


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (Submission(key="a/b"), "id"),
        (Submission(key="a\nb"), "id"),
        (Submission(priority=0), "priority"),
        (Submission(owner="a'b"), "owner"),
        (Submission(tags={"a b": "c"}), "tags"),
        (Submission(delay=timedelta(days=4000)), "delay"),
        (Submission(delay=timedelta(seconds=-1)), "delay"),
        (Submission(run_at=datetime(2030, 1, 1)), "run_at"),  # noqa: DTZ001 (naive on purpose)
        (Submission(deadline=timedelta(0)), "deadline"),
    ],
)
async def test_a_wrong_option_is_refused_by_name(
    jobs: JobClient, unique: str, options: Submission, field: str
) -> None:
    tagged = replace(options, key=options.key or unique)
    with pytest.raises(InvalidInputError) as caught:
        await jobs.submit("note", {"text": "x"}, tagged)
    assert [problem.field for problem in caught.value.problems] == [field]
    with pytest.raises(JobNotFoundError):
        await jobs.status(f"note-{unique}")


async def test_an_unknown_kind_is_refused_with_the_nearest(jobs: JobClient) -> None:
    with pytest.raises(InvalidInputError, match="no kind 'notte'; did you mean 'note'"):
        await jobs.submit("notte", {"text": "x"})


async def test_an_unknown_job_is_not_found(jobs: JobClient, unique: str) -> None:
    with pytest.raises(JobNotFoundError, match=unique):
        await jobs.status(unique)
    with pytest.raises(JobNotFoundError):
        await jobs.cancel(unique)
    with pytest.raises(JobNotFoundError):
        [line async for line in jobs.logs(unique)]


async def test_progress_is_read_from_the_heartbeat_of_the_step(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "wait"}, Submission(key=unique))
    async with worker():
        job = await until(jobs, job.id, lambda seen: seen.progress.done > 0)
        assert job.state is JobState.RUNNING
        progress = job.progress
        assert (progress.step, progress.done, progress.total, progress.unit) == (
            "file",
            3,
            4,
            "lines",
        )
        assert (progress.percent, progress.message) == (87.5, "filing")
        await jobs.cancel(job.id)
        final = await jobs.wait(job.id)
    assert final.state is JobState.CANCELLED
    with pytest.raises(JobCancelledError):
        await jobs.result(job.id)
    with pytest.raises(ConflictError, match="already ended"):
        await jobs.cancel(job.id)


async def test_a_permanent_error_fails_the_job_at_once_and_is_reported_once(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    options = Submission(key=unique, owner=unique)
    job = await jobs.submit("note", {"text": "x", "behave": "refuse"}, options)
    async with worker() as working:
        final = await jobs.wait(job.id)
    assert final.state is JobState.FAILED
    assert final.error is not None
    assert (final.error.type, final.error.message) == (
        "NoteRefused",
        "the note is no good: write another",
    )
    assert (final.attempts, final.error.retryable) == (1, False)
    (report,) = working.reports.seen
    assert (report.job_id, report.type, report.attempts) == (job.id, "NoteRefused", 1)
    with pytest.raises(JobFailedError, match="NoteRefused"):
        await jobs.result(job.id)
    found = await until_listed(jobs, JobFilter(owner=unique, error="NoteRefused"), 1)
    assert [listed.id for listed in found] == [job.id]


async def test_a_transient_error_is_retried_and_shown_with_its_cause(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "fail"}, Submission(key=unique))
    async with worker() as working:
        job = await until(jobs, job.id, lambda seen: seen.state is JobState.RETRYING)
    assert job.error is not None
    assert (job.error.type, job.error.attempt, job.error.retryable) == ("NoteDelayed", 1, True)
    assert (job.attempts, job.max_attempts) == (2, 3)
    assert job.next_attempt_at is not None
    wait = job.next_attempt_at - datetime.now(UTC)
    assert timedelta(minutes=50) < wait < timedelta(minutes=70)
    last = [line async for line in jobs.logs(job.id)][-1]
    assert last.text == (
        "failed: NoteDelayed: the cabinet is locked; tried again at "
        f"{job.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    assert working.reports.seen == []


async def test_a_job_that_fails_before_its_first_step_is_reported(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "break"}, Submission(key=unique))
    async with worker() as working:
        final = await jobs.wait(job.id)
    assert final.error is not None
    assert final.error.type == "NoteBroken"
    assert [report.attempts for report in working.reports.seen] == [0]


async def test_a_payload_that_does_not_fit_fails_the_job(
    jobs: JobClient, client: Client, unique: str, worker: StartWorker
) -> None:
    async with worker():
        handle = await client.start_workflow(
            "FileNote", {"text": 3}, id=f"note-{unique}", task_queue=unique
        )
        final = await jobs.wait(handle.id)
    assert final.state is JobState.FAILED


@pytest.mark.parametrize("behave", ["well", "refuse", "break"])
async def test_the_end_of_a_wait_tells_what_status_tells(
    jobs: JobClient, unique: str, worker: StartWorker, behave: str
) -> None:
    soon = timedelta(seconds=0.2)
    options = Submission(key=unique, owner="ada", tags={"team": "x"}, priority=2, delay=soon)
    job = await jobs.submit("note", {"text": "x", "behave": behave}, options)
    async with worker():
        final = await jobs.wait(job.id)
    assert final == await jobs.status(job.id)
    assert (final.run_id, final.owner, final.priority) == (job.run_id, "ada", 2)


async def test_waiting_ends_after_the_time_given_and_the_job_goes_on(
    jobs: JobClient, unique: str
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(WaitTimedOutError, match="goes on"):
        await jobs.wait(job.id, within=timedelta(seconds=0.2))
    assert (await jobs.status(job.id)).state is JobState.WAITING


async def test_the_result_of_an_open_job_is_a_conflict(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(ConflictError, match="no result yet"):
        await jobs.result(job.id)


async def test_the_log_tells_the_steps_in_words(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    job = await jobs.submit("note", {"text": "x", "behave": "refuse"}, Submission(key=unique))
    async with worker():
        lines = [line async for line in jobs.logs(job.id, follow=True)]
    told = [(line.step, line.text.partition(" after")[0]) for line in lines]
    assert told == [
        (None, "submitted"),
        ("1of2 notes.read", "started: read"),
        ("1of2 notes.read", "completed"),
        ("2of2 notes.file", "started: file"),
        ("2of2 notes.file", "failed: NoteRefused: the note is no good: write another"),
        (None, "failed: NoteRefused: the note is no good: write another"),
    ]


async def test_a_list_is_filtered_and_paged(jobs: JobClient, unique: str) -> None:
    ids = []
    for number in range(3):
        options = Submission(key=f"{unique}-{number}", owner=unique, tags={"n": str(number)})
        ids.append((await jobs.submit("note", {"text": "x"}, options)).id)
    await until_listed(jobs, JobFilter(owner=unique), 3)
    first = await jobs.list(JobFilter(owner=unique), limit=2)
    second = await jobs.list(JobFilter(owner=unique), limit=2, cursor=first.next_cursor)
    assert [job.id for job in [*first.jobs, *second.jobs]] == ids[::-1]
    tagged = await jobs.list(JobFilter(owner=unique, tag=("n", "1")))
    assert [job.id for job in tagged.jobs] == [ids[1]]
    waiting = await jobs.list(JobFilter(owner=unique, state=JobState.WAITING))
    assert len(waiting.jobs) == 3
    assert (await jobs.list(JobFilter(owner=unique, state=JobState.COMPLETED))).jobs == []


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(kind="note' OR '1'='1"),
        JobFilter(owner="x' OR JobKind != '"),
        JobFilter(error="a'b"),
        JobFilter(tag=("a", "b'c")),
        JobFilter(since=datetime(2030, 1, 1)),  # noqa: DTZ001 (naive on purpose)
    ],
)
async def test_a_filter_can_not_become_a_query(jobs: JobClient, wanted: JobFilter) -> None:
    with pytest.raises(InvalidInputError):
        await jobs.list(wanted)


@pytest.mark.parametrize("cursor", ["€€€", "%%%", "a b"])
async def test_a_forged_cursor_is_refused(jobs: JobClient, cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        await jobs.list(cursor=cursor)


async def test_jobs_are_counted_by_state_and_error(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    async with worker():
        for number, behave in enumerate(("well", "refuse", "refuse")):
            options = Submission(key=f"{unique}-{number}", owner=unique)
            job = await jobs.submit("note", {"text": "x", "behave": behave}, options)
            await jobs.wait(job.id)
    failed = JobFilter(owner=unique, state=JobState.FAILED, error="NoteRefused")
    await until_listed(jobs, failed, 2)
    await until_listed(jobs, JobFilter(owner=unique, state=JobState.COMPLETED), 1)
    states = {count.state: count.count for count in await jobs.count("state", owner=unique)}
    assert states == {"completed": 1, "failed": 2}
    (error,) = await jobs.count("error", owner=unique)
    assert (error.error, error.count) == ("NoteRefused", 2)
    assert {"kind": "note", "state": "failed", "count": 2} in [
        count.model_dump(exclude_none=True) for count in await jobs.count("kind", owner=unique)
    ]

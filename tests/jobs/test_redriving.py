"""Many failed jobs go on at once: what it would do is told first, and each goes on once."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.redrives import RedriveActivities
from adapters.storage import Storage
from jobs.client import JobClient, JobFilter, RedriveStatus, Submission, redriver, redriving
from jobs.client.redriver import Redriver
from jobs.errors import InvalidInputError, JobNotFoundError, ServerUnreachableError
from jobs.redrives import FailedRun, FailedRuns, JobOutcome, Outcome, RedriveFilter
from jobs.status import JobState, JobStatus
from tests.jobs.conftest import StartWorker
from workflows.redrives import RedriveWorkflow
from workflows.sandbox import RUNNER

PATIENCE_S = 180


@pytest.fixture
async def storage(
    client: Client, unique: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Storage]:
    """Where outcomes go; a worker for redrives runs meanwhile."""
    storage, queue = Storage.open("memory:"), f"{unique}-redrives"
    monkeypatch.setattr(redriving, "QUEUE", queue)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[RedriveWorkflow],
        activities=RedriveActivities(Redriver(client), storage).all(),
        workflow_runner=RUNNER,
    ):
        yield storage


async def failed_jobs(jobs: JobClient, count: int, owner: str) -> list[JobStatus]:
    """Submit jobs that fail at their second step, and wait until lists know of it."""
    made = [
        await jobs.submit(
            "note",
            {"text": f"{number}", "behave": "refuse"},
            Submission(key=f"{owner}-{number}", owner=owner),
        )
        for number in range(count)
    ]
    for job in made:
        await jobs.wait(job.id)
    failed = JobFilter(owner=owner, state=JobState.FAILED, error="NoteRefused")
    async with asyncio.timeout(PATIENCE_S):
        while len((await jobs.list(failed)).jobs) < count:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    return made


async def done(jobs: JobClient, redrive: RedriveStatus) -> RedriveStatus:
    """Return a redrive at its end."""
    async with asyncio.timeout(PATIENCE_S):
        while not redrive.state.final:
            await asyncio.sleep(0.1)
            redrive = await jobs.redrive_status(redrive.id)
    return redrive


async def outcomes(storage: Storage, redrive: RedriveStatus) -> list[dict[str, str]]:
    """Return the lines of a redrive's outcomes."""
    assert redrive.outcomes is not None
    files = sorted([found.key async for found in storage.list(redrive.outcomes)])
    return [json.loads(line) for key in files for line in (await storage.get(key)).splitlines()]


async def test_a_preview_tells_what_would_go_on_and_from_where(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    async with worker() as working:
        await failed_jobs(jobs, 3, unique)
        before = list(working.steps.begun)
        told = await jobs.preview_redrive(JobFilter(owner=unique))
        assert working.steps.begun == before
    assert (told.count, told.kinds, told.errors) == (3, {"note": 3}, {"NoteRefused": 3})
    assert (told.begins, told.sampled) == ({"note: from the failed step, 2of2 notes.file": 3}, 3)
    assert told.oldest is not None
    assert (await jobs.preview_redrive(JobFilter(owner=unique, error="Other"))).count == 0


async def test_failed_jobs_go_on_and_finished_steps_are_not_repeated(
    jobs: JobClient, worker: StartWorker, storage: Storage, unique: str
) -> None:
    async with worker() as working:
        made = await failed_jobs(jobs, 5, unique)
        working.steps.mended = True
        redrive = await done(jobs, await jobs.redrive(JobFilter(owner=unique)))
        ends = [(await jobs.wait(job.id)).state for job in made]
    assert ends == [JobState.COMPLETED] * 5
    assert working.steps.begun.count("read") == 5
    assert (redrive.state, redrive.counts.total, redrive.counts.redriven) == (
        JobState.COMPLETED,
        5,
        5,
    )
    lines = await outcomes(storage, redrive)
    assert {line["id"] for line in lines} == {job.id for job in made}
    assert {line["how"] for line in lines} == {"from the failed step, 2of2 notes.file"}


async def test_a_job_that_has_gone_on_is_skipped(
    jobs: JobClient, worker: StartWorker, storage: Storage, unique: str
) -> None:
    async with worker() as working:
        made = await failed_jobs(jobs, 2, unique)
        working.steps.mended = True
        await jobs.retry(made[0].id)
        await jobs.wait(made[0].id)
        redrive = await done(jobs, await jobs.redrive(JobFilter(owner=unique)))
        again = await done(jobs, await jobs.redrive(JobFilter(owner=unique)))
    assert (redrive.counts.redriven, redrive.counts.skipped) == (1, 1)
    assert again.counts.redriven == 0
    skipped = [line for line in await outcomes(storage, redrive) if line["outcome"] == "skipped"]
    assert [(line["id"], line["how"]) for line in skipped] == [
        (made[0].id, "it has gone on since, and is completed")
    ]


async def test_pages_and_runs_of_a_large_redrive_leave_no_job_out(
    jobs: JobClient,
    worker: StartWorker,
    storage: Storage,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.redrives.PAGE_JOBS", 2)
    monkeypatch.setattr("jobs.redrives.MOST_PAGES", 2)
    async with worker() as working:
        made = await failed_jobs(jobs, 7, unique)
        working.steps.mended = True
        redrive = await done(jobs, await jobs.redrive(JobFilter(owner=unique), rate=1000))
        assert {(await jobs.wait(job.id)).state for job in made} == {JobState.COMPLETED}
    assert (redrive.counts.total, redrive.counts.redriven, redrive.rate) == (7, 7, 1000)
    files = [found.key async for found in storage.list(str(redrive.outcomes))]
    assert len(files) == 4
    assert {line["id"] for line in await outcomes(storage, redrive)} == {job.id for job in made}


@dataclass
class Stumbling:
    """The jobs, to which the way is lost once, after some have gone on."""

    jobs: Redriver
    falls_at: int = 3
    asked: int = 0

    async def count(self, wanted: RedriveFilter, before: datetime) -> int:
        return await self.jobs.count(wanted, before)

    async def page(
        self, wanted: RedriveFilter, before: datetime, token: str | None, size: int
    ) -> FailedRuns:
        return await self.jobs.page(wanted, before, token, size)

    async def go_on(self, run: FailedRun, redrive_id: str) -> JobOutcome:
        self.asked += 1
        if self.asked == self.falls_at:
            msg = "the server does not answer"
            raise ServerUnreachableError(msg)
        return await self.jobs.go_on(run, redrive_id)


async def test_a_page_that_was_cut_short_is_taken_up_again_and_every_job_goes_on_once(
    jobs: JobClient,
    worker: StartWorker,
    client: Client,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = f"{unique}-redrives"
    monkeypatch.setattr(redriving, "QUEUE", queue)
    storage, stumbling = Storage.open("memory:"), Stumbling(Redriver(client))
    redrives = Worker(
        client,
        task_queue=queue,
        workflows=[RedriveWorkflow],
        activities=RedriveActivities(stumbling, storage).all(),
        workflow_runner=RUNNER,
    )
    async with worker() as working, redrives:
        made = await failed_jobs(jobs, 5, unique)
        working.steps.mended = True
        redrive = await done(jobs, await jobs.redrive(JobFilter(owner=unique)))
        assert {(await jobs.wait(job.id)).state for job in made} == {JobState.COMPLETED}
    assert (redrive.counts.redriven, redrive.counts.skipped) == (5, 0)
    assert working.steps.begun.count("read") == 5
    assert working.steps.begun.count("file") == 10
    lines = await outcomes(storage, redrive)
    assert {line["how"] for line in lines} == {"from the failed step, 2of2 notes.file"}


async def test_an_attempt_that_comes_again_starts_no_second_run(
    jobs: JobClient, worker: StartWorker, client: Client, unique: str
) -> None:
    async with worker() as working:
        (job,) = await failed_jobs(jobs, 1, unique)
        working.steps.mended = True
        failed = await jobs.status(job.id)
        assert failed.finished_at is not None
        run = FailedRun(job_id=job.id, run_id=failed.run_id, ended_at=failed.finished_at)
        first = await Redriver(client).go_on(run, "redrive-1")
        second = await Redriver(client).go_on(run, "redrive-1")
        other = await Redriver(client).go_on(run, "redrive-2")
        await jobs.wait(job.id)
    assert (first.outcome, second.outcome) == (Outcome.REDRIVEN, Outcome.REDRIVEN)
    assert first.run_id == second.run_id
    assert other.outcome is Outcome.SKIPPED
    assert working.steps.begun == ["read", "file", "file"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (JobFilter(), "filter"),
        (JobFilter(state=JobState.FAILED), "filter"),
        (JobFilter(kind="note", state=JobState.RUNNING), "state"),
        (JobFilter(kind="nope"), "kind"),
    ],
)
async def test_a_filter_that_is_empty_or_wrong_starts_nothing(
    jobs: JobClient, wanted: JobFilter, field: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"^{field}: "):
        await jobs.redrive(wanted)
    with pytest.raises(InvalidInputError, match=f"^{field}: "):
        await jobs.preview_redrive(wanted)


@pytest.mark.parametrize("rate", [0, -1, 1e9, float("nan")])
async def test_a_rate_that_cant_be_kept_is_refused(jobs: JobClient, rate: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^rate: "):
        await jobs.redrive(JobFilter(kind="note"), rate=rate)


async def test_a_job_is_no_redrive(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(JobNotFoundError):
        await jobs.redrive_status(job.id)


async def test_an_owners_client_redrives_only_the_owners_jobs(
    jobs: JobClient, worker: StartWorker, unique: str
) -> None:
    async with worker():
        await failed_jobs(jobs, 1, unique)
    stranger = jobs.of("stranger")
    assert (await stranger.preview_redrive(JobFilter(owner=unique))).count == 0


def test_a_filter_is_the_same_after_its_way_through_a_redrive() -> None:
    wanted = JobFilter(kind="email", owner="ada", error="E", tag=("a", "b/c"))
    kept = redriving.checked(wanted)
    assert kept == RedriveFilter(kind="email", owner="ada", error="E", tag="a=b/c")
    assert redriver.asked(kept) == wanted

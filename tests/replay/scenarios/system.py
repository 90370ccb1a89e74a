"""Workflows that nobody submits: what sweeps up, and what watches."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from jobs.base import Queue
from jobs.exports import EXPORT
from jobs.holds import alert_id
from jobs.limits import END_PAUSE_WORKFLOW, EndPause
from jobs.pruning import PRUNE_WORKFLOW
from jobs.redrives import PageRedriven, Redrive, RedriveCounts, RedriveFilter
from jobs.schedules.watching import Alarms, RunState, ScheduledRun, WatchSchedules
from jobs.status import JobState
from jobs.webhooks import SWEEP_WORKFLOW, job_key
from tests.replay.house import House
from tests.replay.scenarios.images import SMALL
from tests.replay.scenarios.scenario import scenarios
from tests.replay.scenarios.webhooks import arrived

LONG_AGO: Final = timedelta(hours=2)
LAST: Final = 11
NINE: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)


async def events_left_lying(house: House) -> Sequence[str]:
    """Events were stored while Temporal was away: one unstarted, one whose job is there."""
    await arrived(house, "github", "push", owner="ada", at=LONG_AGO)
    begun = await arrived(house, "github", "push", at=LONG_AGO)
    key = job_key("github", begun["event_id"])
    async with house.deciding():
        await house.submit("webhook", begun, key)
    async with house.working():
        await house.start(SWEEP_WORKFLOW, Queue.WEBHOOKS, "sweep")
        assert await house.finished("sweep") is JobState.COMPLETED
    return ("sweep",)


async def runs_failed(house: House) -> Sequence[str]:
    """A schedule's run failed; who asked for it is told by mail, once."""
    run = ScheduledRun(schedule="daily", nominal=NINE, state=RunState.FAILED, job_id="report-1")
    watch = WatchSchedules(alerts_to=("ops@example.com",))
    alert = f"alert-daily-{NINE:%Y-%m-%dT%H:%M:%SZ}-failed"
    for number in (1, 2):
        await house.start("WatchSchedules", Queue.REPORTS, f"watch-{number}", watch)
        async with house.deciding():
            await house.complete_step(Queue.REPORTS, Alarms(runs=(run,)))
            assert await house.finished(f"watch-{number}") is JobState.COMPLETED
            assert await house.finished(alert) is JobState.COMPLETED
    return ("watch-1", "watch-2", alert)


async def nothing_missed(house: House) -> Sequence[str]:
    """The watch finds nothing."""
    async with house.working():
        await house.start("WatchSchedules", Queue.REPORTS, "watch-3", WatchSchedules())
        assert await house.finished("watch-3") is JobState.COMPLETED
    return ("watch-3",)


async def redriven(house: House) -> Sequence[str]:
    """A failed job goes on."""
    failing = await house.submit("image", {**SMALL, "source": "uploads/no-picture.jpg"})
    async with house.working():
        assert await house.finished(failing) is JobState.FAILED
        redrive = Redrive(wanted=RedriveFilter(kind="image"), before=datetime.now(UTC))
        await house.start("Redrive", Queue.BATCHES, "redrive-1", redrive)
        assert await house.finished("redrive-1") is JobState.COMPLETED
    return ("redrive-1",)


async def redriven_in_runs(house: House) -> Sequence[str]:
    """So many pages of failed jobs that the server asks for a new run."""
    redrive = Redrive(wanted=RedriveFilter(kind="image"), before=datetime.now(UTC))
    await house.start("Redrive", Queue.BATCHES, "redrive-2", redrive)
    async with house.deciding():
        for page in range(12):
            counts = RedriveCounts(total=12, redriven=page)
            more = PageRedriven(counts=counts, next_token=None if page == LAST else "more")
            await house.complete_step(Queue.BATCHES, more)
        assert await house.finished("redrive-2") is JobState.COMPLETED
    return ("redrive-2",)


async def jobs_held(house: House) -> Sequence[str]:
    """Two jobs are held for a cause that somebody must mend; people are told once."""
    jobs = [await house.submit("export", EXPORT.example) for _ in range(2)]
    async with house.deciding():
        for step in [await house.take_step(Queue.TRANSFERS) for _ in jobs]:
            await house.fail(step, "StorageDenied")
        for job_id in jobs:
            await house.until(job_id, lambda job: job.state is JobState.HELD)
    async with house.working():
        for job_id in jobs:
            await house.handle(job_id).signal("release")
            assert await house.finished(job_id) is JobState.COMPLETED
        assert await house.finished(alert_id("StorageDenied")) is JobState.COMPLETED
    return (*jobs, alert_id("StorageDenied"))


async def pause_ended(house: House) -> Sequence[str]:
    """The time of a queue's pause has come."""
    ending = EndPause(queue=Queue.REPORTS, until=NINE)
    async with house.working():
        await house.start(END_PAUSE_WORKFLOW, Queue.REPORTS, "end-pause", ending)
        assert await house.finished("end-pause") is JobState.COMPLETED
    return ("end-pause",)


async def pruned(house: House) -> Sequence[str]:
    """What is past its retention is forgotten."""
    async with house.working():
        await house.start(PRUNE_WORKFLOW, Queue.BATCHES, "prune")
        assert await house.finished("prune") is JobState.COMPLETED
    return ("prune",)


ALL: Final = (
    *scenarios(events_left_lying, runs_failed, nothing_missed, redriven, pause_ended, pruned),
    *scenarios(redriven_in_runs, jobs_held, skip_time=True),
)

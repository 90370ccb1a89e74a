"""Workflows that nobody submits: what sweeps up, and what watches."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from jobs.base import Queue
from jobs.schedules.watching import Alarms, RunState, ScheduledRun, WatchSchedules
from jobs.status import JobState
from jobs.webhooks import SWEEP_WORKFLOW, job_key
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios
from tests.replay.scenarios.webhooks import arrived

NINE: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)


async def events_left_lying(house: House) -> Sequence[str]:
    """Events were stored while Temporal was away: one unstarted, one whose job is there."""
    lying = await arrived(house, "github", "push", owner="ada")
    begun = await arrived(house, "github", "push")
    key = job_key("github", begun["event_id"])
    async with house.working():
        assert await house.finished(await house.submit("webhook", begun, key)) is JobState.COMPLETED
        await house.start(SWEEP_WORKFLOW, Queue.WEBHOOKS, "sweep")
        assert await house.finished("sweep") is JobState.COMPLETED
    del lying
    return ("sweep",)


async def runs_missed(house: House) -> Sequence[str]:
    """A schedule's run was missed; who asked for it is told by mail, once."""
    run = ScheduledRun(schedule="daily", nominal=NINE, state=RunState.MISSED)
    watch = WatchSchedules(alerts_to=("ops@example.com",))
    alert = f"alert-daily-{NINE:%Y-%m-%dT%H:%M:%SZ}-missed"
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


ALL: Final = scenarios(events_left_lying, runs_missed, nothing_missed)

"""The step of the watch over schedules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from jobs.schedules.watching import Alarms, ScheduledRun


class Schedules(Protocol):
    """What the watch needs to read."""

    async def alarms(self) -> Sequence[ScheduledRun]:
        """Return the runs of the last hours that were missed, are late or failed."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduleActivities:
    """The watch, over the server's schedules."""

    schedules: Schedules

    @activity.defn(name="schedules.look")
    async def look(self) -> Alarms:
        """Return what went wrong lately. Idempotent: it only reads."""
        return Alarms(runs=tuple(await self.schedules.alarms()))

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.look,)

"""What became of the runs that schedules were to start."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from jobs.addresses import MailAddress
from jobs.base import Contract


class RunState(StrEnum):
    """What became of one run."""

    DONE = "done"
    RUNNING = "running"
    LATE = "late"
    """Begun, and not done in the time that its schedule allows."""
    FAILED = "failed"
    MISSED = "missed"
    """Not begun: the server was away beyond the catch-up window, or the run before went on."""

    @property
    def alarming(self) -> bool:
        """Whether someone should be told."""
        return self in {RunState.LATE, RunState.FAILED, RunState.MISSED}


class ScheduledRun(Contract):
    """One nominal time of a schedule, and what became of it."""

    schedule: str
    nominal: datetime
    state: RunState
    job_id: str | None = None

    def words(self) -> str:
        """Return a line about the run, without its schedule's name."""
        what = {
            RunState.MISSED: "did not start",
            RunState.LATE: "is not done yet",
            RunState.FAILED: "failed",
        }.get(self.state, str(self.state))
        return f"{self.nominal:%Y-%m-%d %H:%M} UTC {what}"


class WatchSchedules(Contract):
    """Input of the watch."""

    alerts_to: Annotated[tuple[MailAddress, ...], Field(max_length=20)] = ()


class Alarms(Contract):
    """What the watch found."""

    runs: tuple[ScheduledRun, ...]

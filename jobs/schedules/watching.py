"""What became of the runs that schedules were to start."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

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

    GONE = "gone"
    """Begun, and deleted since, after its retention."""


ALARMING: Final = frozenset({RunState.LATE, RunState.FAILED, RunState.MISSED})


class ScheduledRun(Contract):
    """One nominal time of a schedule, and what became of it."""

    schedule: str
    nominal: datetime
    state: RunState
    job_id: str | None = None
    watched: bool = True
    """Recent enough for an alert; older runs are only shown."""

    @property
    def alarming(self) -> bool:
        """Whether someone should be told."""
        return self.watched and self.state in ALARMING

    def words(self) -> str:
        """Return a line about the run, without its schedule's name."""
        return f"{self.nominal:%Y-%m-%d %H:%M} UTC {self.trouble()}"

    def trouble(self) -> str:
        """Return what became of the run, as the end of a sentence."""
        return {
            RunState.MISSED: "did not start",
            RunState.LATE: "is not done yet",
            RunState.FAILED: "failed",
        }.get(self.state, str(self.state))

    def advice(self) -> str:
        """Return what to do about a run that went wrong."""
        if self.state is RunState.MISSED:
            day = f"{self.nominal:%Y-%m-%dT%H:%MZ}"
            return (
                "The server was away longer than the schedule's catch-up window, or the run before "
                f"was still going on. Make up for it with: starter.py schedules backfill "
                f"{self.schedule} --from {day} --to {day}"
            )
        return (
            f"See why with: starter.py explain {self.job_id}, and try it again with: "
            f"starter.py retry {self.job_id}"
        )


class WatchSchedules(Contract):
    """Input of the watch."""

    alerts_to: Annotated[tuple[MailAddress, ...], Field(max_length=20)] = ()


class Alarms(Contract):
    """What the watch found."""

    runs: tuple[ScheduledRun, ...]


class Alert(Contract):
    """One alert to raise."""

    run: ScheduledRun
    to: tuple[MailAddress, ...] = ()

"""The step that reports a job's final failure; the interceptor of all workflows runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from jobs.failures import FinalFailure


class ErrorReporter(Protocol):
    """Where final failures go: a log, an error tracker."""

    async def report(self, failure: FinalFailure) -> None:
        """Record ``failure``."""
        ...


class History(Protocol):
    """What this step needs to read of a job."""

    async def attempts(self, job_id: str, run_id: str) -> int:
        """Return the attempts of the job's last step."""
        ...


@dataclass(frozen=True, slots=True)
class FailureActivities:
    """Reporting, over one reporter."""

    reporter: ErrorReporter
    history: History

    @activity.defn(name="failures.report")
    async def report(self, failure: FinalFailure) -> None:
        """Report ``failure``.

        Once per job as a local activity's result is in the history; a worker that dies between the
        report and that record reports again.
        """
        attempts = await self.history.attempts(failure.job_id, failure.run_id)
        await self.reporter.report(failure.model_copy(update={"attempts": attempts}))

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.report,)

"""What the step of a redrive does with the jobs: finds them, and lets them go on."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client
from temporalio.service import RPCError

from jobs.client import listing, reading, reset_points, retrying
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.errors import ConflictError, JobNotFoundError
from jobs.redrives import (
    FailedRun,
    FailedRuns,
    JobOutcome,
    Outcome,
    RedriveFilter,
)
from jobs.status import derive_state

BY_DEFAULT: Final = "ExecutionStatus IN ('Failed', 'TimedOut')"
SAME_END: Final = timedelta(milliseconds=5)
"""The index keeps fewer digits of an instant than the history."""


def asked(wanted: RedriveFilter) -> JobFilter:
    """Return the filter that ``checked`` was given."""
    name, _, value = (wanted.tag or "").partition("=")
    return JobFilter(
        kind=wanted.kind,
        state=wanted.state,
        owner=wanted.owner,
        error=wanted.error,
        tag=(name, value) if wanted.tag else None,
        since=wanted.since,
    )


def query(wanted: RedriveFilter, before: datetime) -> str:
    """Return what the index is asked for: the runs that match and had ended by then."""
    status = "" if wanted.state else f" AND {BY_DEFAULT}"
    ended = f"CloseTime < '{before.astimezone(UTC).isoformat()}'"
    return f"{asked(wanted).query()}{status} AND {ended}"


@dataclass(frozen=True, slots=True)
class Redriver:
    """What the step of a redrive does with jobs."""

    client: Client

    async def count(self, wanted: RedriveFilter, before: datetime) -> int:
        """Return how many runs match."""
        with translated_errors():
            counted = await self.client.count_workflows(
                query(wanted, before), rpc_timeout=RPC_TIMEOUT
            )
        return counted.count

    async def page(
        self, wanted: RedriveFilter, before: datetime, token: str | None, size: int
    ) -> FailedRuns:
        """Return a page of the runs that match."""
        infos, next_token = await listing.executions(
            self.client, query(wanted, before), size, base64.b64decode(token or "")
        )
        return FailedRuns(
            runs=[
                FailedRun(
                    job_id=info.execution.workflow_id,
                    run_id=info.execution.run_id,
                    ended_at=reading.instant(info.close_time),
                )
                for info in infos
            ],
            next_token=base64.b64encode(next_token).decode() if next_token else None,
        )

    async def go_on(self, run: FailedRun, redrive_id: str) -> JobOutcome:
        """Let a job go on if ``run`` is still its newest run."""
        try:
            point = await reset_points.find(self.client, run.job_id)
            if point is None or abs(point.ended_at - run.ended_at) > SAME_END:
                return await self._gone_on(run, redrive_id)
            execution = WorkflowExecution(workflow_id=run.job_id, run_id=run.run_id)
            made = await retrying.go_on(self.client, execution, point, said=_said(redrive_id))
        except JobNotFoundError:
            return _skipped(run, "it was deleted")
        except ConflictError as error:
            return _skipped(run, str(error))
        except RPCError as error:
            return JobOutcome(id=run.job_id, outcome=Outcome.FAILED, how=error.message)
        return JobOutcome(id=run.job_id, outcome=Outcome.REDRIVEN, run_id=made.run_id, how=made.how)

    async def _gone_on(self, run: FailedRun, redrive_id: str) -> JobOutcome:
        """Tell of a job with a newer run; that may be the work of an earlier attempt."""
        newest = await reading.describe(self.client, run.job_id)
        run_id = newest.workflow_execution_info.execution.run_id
        said = _said(redrive_id)
        for event in await reading.last_events(self.client, run.job_id, run_id):
            reset = event.workflow_task_failed_event_attributes
            reason = reset.failure.message
            if reset.base_run_id == run.run_id and reason.startswith(said):
                how = reason.removeprefix(f"{said} ")
                return JobOutcome(id=run.job_id, outcome=Outcome.REDRIVEN, run_id=run_id, how=how)
        return _skipped(run, f"it has gone on since, and is {derive_state(newest)}")


def _said(redrive_id: str) -> str:
    return f"redriven by {redrive_id}"


def _skipped(run: FailedRun, why: str) -> JobOutcome:
    return JobOutcome(id=run.job_id, outcome=Outcome.SKIPPED, how=why)

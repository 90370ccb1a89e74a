"""Closed jobs past their retention, and forgetting them: what the step and a dry run share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client, ScheduleActionStartWorkflow

from jobs.attributes import JOB_KIND
from jobs.base import JobKind, Queue
from jobs.client import deleting, listing, reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.deleting import Traces
from jobs.client.recurring import ensure_recurring
from jobs.errors import JobNotFoundError
from jobs.pruning import EVERY, PRUNE_SCHEDULE, PRUNE_WORKFLOW, Pruned
from jobs.status import derive_state
from jobs.traces import Erased

PRUNE_DEADLINE: Final = timedelta(hours=24)

ENDED: Final = {
    "completed": "ExecutionStatus = 'Completed'",
    "failed": "ExecutionStatus IN ('Failed', 'TimedOut', 'Canceled', 'Terminated')",
}
"""What the index knows of each outcome."""


@dataclass(frozen=True, slots=True)
class Pruner:
    """Finds and forgets closed jobs on one Temporal namespace."""

    temporal: Client

    async def count(self, kind: JobKind[Any, Any], outcome: str, now: datetime) -> int:
        """Return how many runs of a kind ended so, and are past their retention."""
        with translated_errors():
            counted = await self.temporal.count_workflows(
                _query(kind, outcome, now), rpc_timeout=RPC_TIMEOUT
            )
        return counted.count

    async def due(
        self, kind: JobKind[Any, Any], outcome: str, now: datetime
    ) -> AsyncIterator[tuple[str, str]]:
        """Yield job id and run id of each of them."""
        query = _query(kind, outcome, now)
        async for info in listing.every_execution(self.temporal, query):
            yield info.execution.workflow_id, info.execution.run_id

    async def forget(self, job_id: str, run_id: str, traces: Traces) -> Erased:
        """Delete a run, and if it is its job's newest also the job's traces, but no result.

        An older run goes alone: a retry of it may be open or held, or be kept for longer.
        """
        try:
            description = await reading.describe(self.temporal, job_id)
        except JobNotFoundError:
            return Erased()
        newest = description.workflow_execution_info.execution.run_id == run_id
        if newest and derive_state(description).final:
            return await deleting.delete(self.temporal, description, traces, results=False)
        try:
            run = WorkflowExecution(workflow_id=job_id, run_id=run_id)
            await reading.delete(self.temporal, run)
        except JobNotFoundError:
            pass
        return Erased()

    async def knows(self, job_id: str) -> bool:
        """Tell whether the server still has a job, open or closed."""
        try:
            await reading.describe(self.temporal, job_id)
        except JobNotFoundError:
            return False
        return True


async def ensure_prune(temporal: Client) -> bool:
    """Have closed jobs forgotten each hour; what is there stays. Tell whether it was made."""
    action = ScheduleActionStartWorkflow(
        PRUNE_WORKFLOW,
        id=PRUNE_SCHEDULE,
        task_queue=Queue.BATCHES,
        execution_timeout=PRUNE_DEADLINE,
        static_summary="forget what is past its retention",
    )
    return await ensure_recurring(temporal, PRUNE_SCHEDULE, action, every=EVERY)


async def prune_now(temporal: Client, prune_id: str) -> Pruned:
    """Forget what is due now, and return what went; a worker of the queue of batches does it."""
    with translated_errors():
        pruned: Pruned = await temporal.execute_workflow(
            PRUNE_WORKFLOW,
            id=prune_id,
            task_queue=Queue.BATCHES,
            execution_timeout=PRUNE_DEADLINE,
            result_type=Pruned,
            static_summary="forget what is past its retention",
        )
    return pruned


def _query(kind: JobKind[Any, Any], outcome: str, now: datetime) -> str:
    kept = kind.retention.completed if outcome == "completed" else kind.retention.failed
    return (
        f"{JOB_KIND.name} = '{kind.name}' AND {ENDED[outcome]} "
        f"AND CloseTime < '{(now - kept).isoformat()}'"
    )

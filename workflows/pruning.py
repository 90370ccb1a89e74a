"""Forget what is past its retention."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from activities.pruning import PruneActivities
from jobs.pruning import PRUNE_WORKFLOW, Pruned

STEP: Final = ActivityConfig(
    start_to_close_timeout=timedelta(hours=12),
    heartbeat_timeout=timedelta(minutes=2),
    retry_policy=RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(minutes=5)),
)


@workflow.defn(name=PRUNE_WORKFLOW)
class PruneWorkflow:
    """Closed jobs first, then rows that no job needs, then results past their own term."""

    @workflow.run
    async def run(self) -> Pruned:
        """Prune once."""
        jobs = await workflow.execute_activity_method(PruneActivities.jobs, **STEP)
        rows = await workflow.execute_activity_method(PruneActivities.rows, **STEP)
        results = await workflow.execute_activity_method(PruneActivities.results, **STEP)
        return jobs.plus(rows).plus(results)

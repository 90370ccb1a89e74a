"""Do nothing once, as a workflow of its own."""

from temporalio import workflow

from bench.peers.noop import DO, NOOP, Noop, NoopActivities, Nothing
from workflows.base import JobWorkflow


@workflow.defn(name=NOOP.workflow)
class DoNothingWorkflow(JobWorkflow):
    """One step."""

    @workflow.run
    async def run(self, job: Noop) -> Nothing:
        """Do nothing."""
        return await self.step(NoopActivities.do, job, DO, place=(1, 1), summary="do nothing")

"""A workflow with one activity."""

from datetime import timedelta

from temporalio import workflow

from bench.bare.steps import Ping, nothing


@workflow.defn(name="Bare")
class BareWorkflow:
    """Run one activity that does nothing."""

    @workflow.run
    async def run(self, ping: Ping) -> Ping:
        """Run it."""
        return await workflow.execute_activity(
            nothing, ping, start_to_close_timeout=timedelta(seconds=30)
        )

"""A workflow with two activities."""

from datetime import timedelta

from temporalio import workflow

from bench.bare.steps import Ping
from bench.bare.two_steps import TwoSteps


@workflow.defn(name="TwoSteps")
class TwoStepWorkflow:
    """Run one activity after the other."""

    @workflow.run
    async def run(self, ping: Ping) -> Ping:
        """Run them."""
        timeout = timedelta(seconds=30)
        between = await workflow.execute_activity_method(
            TwoSteps.run_first, ping, activity_id="1of2", start_to_close_timeout=timeout
        )
        return await workflow.execute_activity_method(
            TwoSteps.run_second, between, activity_id="2of2", start_to_close_timeout=timeout
        )

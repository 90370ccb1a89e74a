"""A workflow whose activities do nothing."""

from datetime import timedelta

from temporalio import workflow

from bench.bare.steps import Ping, nothing


@workflow.defn(name="Bare")
class BareWorkflow:
    """Run an activity that does nothing, once for each step."""

    @workflow.run
    async def run(self, ping: Ping) -> Ping:
        """Run them one after the other."""
        for _ in range(ping.steps):
            ping = await workflow.execute_activity(
                nothing, ping, start_to_close_timeout=timedelta(seconds=30)
            )
        return ping

"""End the pause of a queue when its time has come."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.queues import QueueActivities
from jobs.limits import END_PAUSE_WORKFLOW, EndPause

TIMEOUT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=1)


@workflow.defn(name=END_PAUSE_WORKFLOW)
class EndPauseWorkflow:
    """Runs on the paused queue: a local activity, which no limit of the queue holds up."""

    @workflow.run
    async def run(self, ending: EndPause) -> bool:
        """End the pause; the server started this when its time had come."""
        return await workflow.execute_local_activity_method(
            QueueActivities.end_pause,
            ending,
            start_to_close_timeout=TIMEOUT,
            retry_policy=RetryPolicy(maximum_interval=LONGEST_WAIT),  # until it is done
        )

"""What the workflows of all kinds share: a step, and waiting while the job is held."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.workflow import ActivityConfig

from jobs.attributes import JOB_STATE
from jobs.errors import PoisonJob

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

MAX_LOST_WORKERS: Final = 3
"""Heartbeats that one step may lose before its job is poison."""

HELD: Final = "held"


class JobWorkflow:
    """Base of every kind's workflow; the subclass has ``@workflow.run``."""

    _held_because: str | None = None

    @workflow.signal
    def hold(self, reason: str) -> None:
        """Begin no further step until ``release``; a running step goes on to its end."""
        self._held_because = reason

    @workflow.signal
    def release(self) -> None:
        """Go on after ``hold``."""
        self._held_because = None

    async def step(
        self,
        activity: Callable[[Any, ArgumentT], Awaitable[ResultT]],
        argument: ArgumentT,
        options: ActivityConfig,
        *,
        place: tuple[int, int],
        summary: str,
    ) -> ResultT:
        """Run one activity and return its result.

        A step cut by its worker's shutdown runs again without counting, and so does one whose
        worker vanished, up to ``MAX_LOST_WORKERS`` times. A cancelled job ends when its step has
        stopped, so that nothing happens after it is seen to be cancelled.

        Args:
            activity: The method of an activities class.
            argument: Its one argument.
            options: Timeouts and retry policy, from ``jobs/<kind>.py``.
            place: Which step of how many this is, both from 1; status computes percent from it.
            summary: What the Web UI shows beside the step; holds no personal data.

        Raises:
            PoisonJob: The step lost its worker once too often.
            ActivityError: The step failed for good.
        """
        config: ActivityConfig = {
            "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **options,
            "summary": summary,
            "activity_id": "{}of{}".format(*place),
        }
        lost_workers = 0
        while True:
            await self._until_released()
            try:
                return await workflow.execute_activity_method(activity, argument, **config)
            except ActivityError as error:
                match error.cause:
                    case ApplicationError(type="WorkerShutdown"):
                        continue
                    case TimeoutError(type=TimeoutType.HEARTBEAT):
                        lost_workers += 1
                        if lost_workers >= MAX_LOST_WORKERS:
                            msg = (
                                f"{summary}: the worker was lost {lost_workers} times in this step"
                            )
                            raise PoisonJob(msg) from error
                    case _:
                        raise

    async def _until_released(self) -> None:
        if self._held_because is None:
            return
        workflow.upsert_search_attributes([JOB_STATE.value_set(HELD)])
        workflow.set_current_details(f"**Held:** {self._held_because}")
        await workflow.wait_condition(lambda: self._held_because is None)
        workflow.upsert_search_attributes([JOB_STATE.value_unset()])
        workflow.set_current_details("")

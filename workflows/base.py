"""What the workflows of all kinds share: a step, and waiting while the job is held."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ActivityConfig, ParentClosePolicy

from jobs.attributes import JOB_ERROR, JOB_STATE
from jobs.base import HOLD_ON, Contract
from jobs.errors import PoisonJob
from jobs.holds import ALERT_LASTS, ALERT_WORKFLOW, MEMO_HOLD, Hold, HoldCause, alert_id
from jobs.kinds import KINDS_BY_WORKFLOW
from jobs.status import HELD

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

MAX_LOST_WORKERS: Final = 3
"""Workers that one step may lose before its job is poison."""
MAX_LOST_HEARTBEATS: Final = 10
"""The same, however few workers they were: a step that stalls does so on a worker that lives."""
LONGEST_APART: Final = timedelta(seconds=10)
"""Jobs that lost their worker with a poison one come back with it, and would be lost with it again
and again: before its last chance each waits up to so long."""


class JobWorkflow:
    """Base of every kind's workflow; the subclass has ``@workflow.run``."""

    _hold: Hold | None = None
    _shown_as_held = False
    _looked_back = False
    _winds_up = False

    @workflow.signal
    def hold(self, reason: str) -> None:
        """Begin no further step until ``release``; a running step goes on to its end."""
        self._set_hold(Hold(reason=reason, since=workflow.now()))

    @workflow.signal
    def release(self) -> None:
        """Go on after a hold; a step whose failure held the job runs afresh."""
        self._hold = None
        workflow.upsert_memo({MEMO_HOLD: None})
        if self._shown_as_held:
            self._shown_as_held = False
            workflow.upsert_search_attributes([JOB_STATE.value_unset(), JOB_ERROR.value_unset()])
            workflow.set_current_details("")

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
        worker vanished, until it was the third. A worker that is met again was only cut off, and
        counts once. A step that failed for good with a type in the kind's ``hold_on`` holds the
        job, and runs afresh after the release. A cancelled job
        ends when its step has stopped, so that nothing happens after it is seen to be cancelled;
        a cancel that comes while a step completes ends it before the next (the SDK forgets it).

        Args:
            activity: The method of an activities class.
            argument: Its one argument.
            options: Timeouts and retry policy, from ``jobs/<kind>.py``.
            place: Which step of how many this is, both from 1; status computes percent from it.
            summary: What the Web UI shows beside the step; holds no personal data.

        Raises:
            PoisonJob: The step lost its worker once too often.
            ActivityError: The step failed for good, or was cancelled.
            CancelledError: The job was cancelled before the step.
        """
        config: ActivityConfig = {
            "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **options,
            "summary": summary,
            "activity_id": "{}of{}".format(*place),
        }
        losses = 0
        lost_workers: set[object] = set()
        while True:
            await self._until_released()
            if workflow.cancellation_reason() is not None and not self._winds_up:
                self.wind_up()
                raise asyncio.CancelledError
            try:
                return await workflow.execute_activity_method(activity, argument, **config)
            except ActivityError as error:
                match error.cause:
                    case CancelledError():
                        self.wind_up()
                        raise
                    case ApplicationError(type="WorkerShutdown"):
                        continue
                    case TimeoutError(type=TimeoutType.HEARTBEAT) as timeout:
                        losses += 1
                        lost_workers.add(_reporter(timeout) or losses)
                        if len(lost_workers) >= MAX_LOST_WORKERS or losses >= MAX_LOST_HEARTBEATS:
                            msg = f"{summary}: the worker was lost {losses} times in this step"
                            raise PoisonJob(msg) from error
                        if losses > 1:
                            await workflow.sleep(LONGEST_APART * workflow.random().random())
                    case ApplicationError(type=str(kind), message=message) if kind in hold_on():
                        await self._hold_for(kind, message, summary)
                    case _:
                        raise

    def wind_up(self) -> None:
        """Let the steps that tidy up after a cancel run."""
        self._winds_up = True

    def go_on(self, argument: Contract) -> NoReturn:
        """Go on in a new run of the job; a hold that was asked for meanwhile holds there.

        The server hands on the memo of the start and not what was put into it since.
        """
        workflow.continue_as_new(argument, memo=workflow.memo())

    async def _until_released(self) -> None:
        self._look_back()
        while self._hold is not None:
            self._show_hold(self._hold)
            await workflow.wait_condition(lambda: not self._shown_as_held)

    def _show_hold(self, hold: Hold) -> None:
        self._shown_as_held = True
        error = [JOB_ERROR.value_set(hold.error)] if hold.error else []
        workflow.upsert_search_attributes([JOB_STATE.value_set(HELD), *error])
        workflow.set_current_details(f"**Held:** {hold.reason}")

    def _look_back(self) -> None:
        """Find a hold that was asked for in the run before this one, if the job goes on in runs."""
        if self._looked_back:
            return
        self._looked_back = True
        if self._hold is None and workflow.info().continued_run_id:
            self._hold = workflow.memo_value(MEMO_HOLD, None, type_hint=Hold)

    def _set_hold(self, hold: Hold) -> None:
        self._looked_back = True
        self._hold = hold
        workflow.upsert_memo({MEMO_HOLD: hold})

    async def _hold_for(self, error: str, message: str, step: str) -> None:
        """Hold the job for a failure that a person must mend, and see that somebody hears of it."""
        now = workflow.now()
        self._set_hold(Hold(reason=f"{error}: {message}", since=now, error=error, step=step))
        cause = HoldCause(
            error=error, message=message, job_id=workflow.info().workflow_id, since=now
        )
        try:
            await workflow.start_child_workflow(
                ALERT_WORKFLOW,
                cause,
                id=alert_id(error),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                execution_timeout=ALERT_LASTS,
                static_summary=f"jobs are held: **{error}**",
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("an alert has been raised before for what holds this job")


def hold_on() -> frozenset[str]:
    """Return the types of errors that hold the job that runs."""
    kind = KINDS_BY_WORKFLOW.get(workflow.info().workflow_type)
    return kind.hold_on if kind else HOLD_ON


def _reporter(lost: TimeoutError) -> object:
    """Return which worker a step last heard from (``activities.progress.WORKER``), if any."""
    return lost.last_heartbeat_details[1] if len(lost.last_heartbeat_details) > 1 else None

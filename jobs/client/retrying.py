"""Retrying one job, from the failed step with the finished ones kept; and ending one by force.

A retried job is a new run under the same id, with the same input, owner, tags and a deadline of the
same length from now on. What the failed run said of itself at its end, such as ``JobError``, is not
taken over. Signals and a cancel request that came after the point it goes on from aren't either.
"""

from datetime import timedelta
from typing import Final
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyExcludeType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from jobs.base import Contract
from jobs.client import moving, reading, reset_points
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.reset_points import ResetPoint
from jobs.deliveries import DELIVERY
from jobs.errors import ConflictError
from jobs.status import JobState, current_activity, derive_state

RETRIED: Final = frozenset(
    {JobState.FAILED, JobState.TIMED_OUT, JobState.CANCELLED, JobState.TERMINATED}
)
"""States of jobs that can be retried."""

HURRIED_BY_UPDATE: Final = {DELIVERY.workflow: "retry_now"}
"""Workflows that wait between attempts by themselves, and the update that ends the wait."""

NOT_TAKEN_OVER: Final = (
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_NEXUS,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_CANCEL_REQUEST,
)

ADVICE: Final = {
    JobState.SCHEDULED: "`promote` begins it now",
    JobState.HELD: "`release` lets it go on",
    JobState.RETRYING: "its next attempt comes by itself, `--now` makes it at once",
    JobState.COMPLETED: "there is nothing to retry; submit it with `--on-conflict replace`",
}


class Retried(Contract):
    """How a job goes on."""

    id: str
    run_id: str
    step: str | None = None
    """The step that is run again, as place and name."""
    how: str
    """In words, to follow "goes on"."""


async def retry(
    client: Client, description: DescribeWorkflowExecutionResponse, *, now: bool
) -> Retried:
    """Let a job that ended badly go on, or with ``now`` cut an open one's wait for an attempt.

    Raises:
        ConflictError: The job is open and waits for no attempt, or has completed.
    """
    execution = description.workflow_execution_info.execution
    state = derive_state(description)
    if state in RETRIED:
        point = await reset_points.find(client, execution.workflow_id, execution.run_id)
        if point is None:
            msg = f"job {execution.workflow_id!r} is being ended just now: try again"
            raise ConflictError(msg)
        return await go_on(client, execution, point)
    if now and not state.final:
        return await _hurry(client, description, state)
    raise _refusal(execution.workflow_id, state)


async def go_on(
    client: Client, execution: WorkflowExecution, point: ResetPoint, *, said: str = "retried"
) -> Retried:
    """Let an ended run go on at ``point``; its log begins with what is ``said``.

    Not safe to repeat: a second call ends the run that the first has made, and makes another.
    """
    job_id = execution.workflow_id
    if point.finish_event_id is None:
        event = await reading.first_event(client, job_id, execution.run_id)
        run_id = await moving.start_anew(
            client,
            job_id,
            event,
            delay=timedelta(0),
            if_open=WorkflowIDConflictPolicy.FAIL,
        )
    else:
        with translated_errors(job_id):
            made = await client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_execution=execution,
                    reason=f"{said} {point.why}",
                    workflow_task_finish_event_id=point.finish_event_id,
                    request_id=str(uuid4()),
                    reset_reapply_exclude_types=NOT_TAKEN_OVER,
                    identity=client.identity,
                ),
                timeout=RPC_TIMEOUT,
            )
        run_id = made.run_id
    return Retried(id=job_id, run_id=run_id, step=point.step, how=point.why)


async def _hurry(
    client: Client, description: DescribeWorkflowExecutionResponse, state: JobState
) -> Retried:
    """Have the attempt that an open job waits for made at once; attempts count from 1 again."""
    info = description.workflow_execution_info
    job_id = info.execution.workflow_id
    pending = current_activity(description)
    update = HURRIED_BY_UPDATE.get(info.type.name)
    if pending is None or state not in {JobState.RETRYING, JobState.WAITING, JobState.RUNNING}:
        raise _refusal(job_id, state)
    step = f"{pending.activity_id} {pending.activity_type.name}"
    if update is not None:
        with translated_errors(job_id):
            await client.get_workflow_handle(job_id, run_id=info.execution.run_id).execute_update(
                update, rpc_timeout=RPC_TIMEOUT
            )
    elif state is JobState.RETRYING:
        with translated_errors(job_id):
            await client.workflow_service.reset_activity(
                ResetActivityRequest(
                    namespace=client.namespace,
                    execution=info.execution,
                    identity=client.identity,
                    id=pending.activity_id,
                ),
                timeout=RPC_TIMEOUT,
            )
    else:
        raise _refusal(job_id, state)
    return Retried(id=job_id, run_id=info.execution.run_id, step=step, how=f"at once with {step}")


def _refusal(job_id: str, state: JobState) -> ConflictError:
    advice = ADVICE.get(state, "only one that failed, timed out or was ended can be retried")
    return ConflictError(f"job {job_id!r} is {state}: {advice}")


async def terminate(
    client: Client, description: DescribeWorkflowExecutionResponse, reason: str
) -> None:
    """End a job at once, with no chance to clean up.

    Raises:
        ConflictError: It has already ended.
    """
    job_id = reading.id_of_open(description)
    handle = client.get_workflow_handle(job_id)
    with translated_errors(job_id):
        await handle.terminate(reason=reason, rpc_timeout=RPC_TIMEOUT)

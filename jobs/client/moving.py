"""Moving a job that has not begun: the same id and input started anew with another delay.

The waiting run is replaced in the same call, so it works for every kind and with no worker alive.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Memo, Payload
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from jobs.attributes import MEMO_MOVED
from jobs.client import holding, reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.submission import MAX_DELAY
from jobs.errors import ConflictError, InvalidInputError, Problem
from jobs.status import JobState, derive_state


async def move(
    client: Client, description: DescribeWorkflowExecutionResponse, at: datetime | None
) -> None:
    """Let a delayed job begin ``at`` another instant, or now.

    Raises:
        InvalidInputError: The instant has no offset, is past, or is too far ahead.
        ConflictError: The job has begun, has ended, or is held.
    """
    info = description.workflow_execution_info
    job_id = info.execution.workflow_id
    delay = _delay(at)
    state = derive_state(description)
    if state is not JobState.SCHEDULED:
        msg = f"job {job_id!r} is {state}: only one that has not begun can be moved"
        raise ConflictError(msg)
    if (hold := await holding.asked_hold(client, description)) is not None:
        msg = f"job {job_id!r} is held ({hold.reason}), which a move would forget: release it first"
        raise ConflictError(msg)
    event = await reading.first_event(client, job_id, info.execution.run_id)
    moved_to = await client.data_converter.encode([at or datetime.now(UTC)])
    await start_anew(
        client,
        job_id,
        event,
        delay=delay,
        memo={MEMO_MOVED: moved_to[0]},
        if_open=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
    )


async def start_anew(
    client: Client,
    job_id: str,
    event: HistoryEvent,
    *,
    delay: timedelta,
    if_open: WorkflowIDConflictPolicy,
    memo: Mapping[str, Payload] | None = None,
) -> str:
    """Start the job again that ``event`` started, everything else as it was; return its run id.

    Args:
        client: Of the server.
        job_id: The job.
        event: The first of its history.
        delay: How long it waits for its start.
        if_open: What to do if it is open.
        memo: Fields to add to the job's own.

    Raises:
        ConflictError: A job of that id is open, and stays as ``if_open`` says.
    """
    started = event.workflow_execution_started_event_attributes
    old_delay = started.first_workflow_task_backoff.ToTimedelta()
    deadline = started.workflow_execution_timeout.ToTimedelta() - old_delay
    try:
        with translated_errors(job_id):
            made = await client.workflow_service.start_workflow_execution(
                StartWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_id=job_id,
                    workflow_type=started.workflow_type,
                    task_queue=started.task_queue,
                    input=started.input,
                    workflow_execution_timeout=_duration(deadline + delay),
                    workflow_start_delay=_duration(delay),
                    identity=client.identity,
                    request_id=str(uuid4()),
                    workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
                    workflow_id_conflict_policy=WorkflowIdConflictPolicy.ValueType(int(if_open)),
                    memo=Memo(fields={**started.memo.fields, **(memo or {})}),
                    search_attributes=started.search_attributes,
                    header=started.header,
                    priority=started.priority,
                    user_metadata=event.user_metadata,
                ),
                timeout=RPC_TIMEOUT,
            )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
        msg = f"job {job_id!r} has just been started by somebody else"
        raise ConflictError(msg) from None
    return made.run_id


def _delay(at: datetime | None) -> timedelta:
    if at is None:
        return timedelta(0)
    if at.tzinfo is None:
        fix = "needs an offset, such as 2027-01-31T09:00:00+01:00"
        raise InvalidInputError([Problem("at", fix)])
    delay = at - datetime.now(UTC)
    if delay <= timedelta(0):
        raise InvalidInputError([Problem("at", "is past; `promote` begins the job now")])
    if delay > MAX_DELAY:
        raise InvalidInputError([Problem("at", "is more than five years ahead")])
    return delay


def _duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration

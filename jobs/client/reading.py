"""Reading a job: the server's description, and for a closed job the end of its history."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client

from jobs import validation
from jobs.attributes import JOB_KIND, JOB_OWNER, JOB_TAGS
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.failures import open_event, open_failures
from jobs.client.tallies import tallied
from jobs.encryption import EncryptionKeyMissing
from jobs.errors import JobNotFoundError
from jobs.holds import MEMO_HOLD, Hold
from jobs.kinds import KINDS, KINDS_BY_WORKFLOW
from jobs.status import (
    JobFailure,
    JobLinks,
    JobProgress,
    JobState,
    JobStatus,
    Progress,
    current_activity,
    derive_state,
)

JOB_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+\-]{0,255}")
"""What can be a job's id; anything else is no job, without asking the server."""
LAST_EVENTS: Final = 60
"""Enough of a history's end to find result, failure and the last attempt in one call."""

CLOSING: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: JobState.COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: JobState.FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: JobState.TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: JobState.CANCELLED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: JobState.TERMINATED,
}
"""Events that end a job, and how."""

FAILED_STEP: Final = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
}

COMPLETE_PERCENT: Final = 100.0
WAITING_UNLIMITED: Final = 0


def check_id(job_id: str) -> None:
    """Raise ``JobNotFoundError`` for what can't be a job's id."""
    if not JOB_ID_PATTERN.fullmatch(job_id):
        raise JobNotFoundError(job_id)


async def describe(
    client: Client, job_id: str, run_id: str = "", *, owner: str | None = None
) -> DescribeWorkflowExecutionResponse:
    """Return the server's description of a job's newest run.

    Raw, since the SDK's own ``describe`` raises on a paused workflow (1.35.0).

    Raises:
        JobNotFoundError: there is none, or with ``owner`` it is another's; both read the same.
    """
    check_id(job_id)
    with translated_errors(job_id):
        description = await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
            ),
            timeout=RPC_TIMEOUT,
        )
    if owner is not None and await _owner(client, description) != owner:
        raise JobNotFoundError(job_id)
    await open_failures(client, (step.last_failure for step in description.pending_activities))
    return description


async def _owner(client: Client, description: DescribeWorkflowExecutionResponse) -> str | None:
    fields = description.workflow_execution_info.search_attributes.indexed_fields
    if JOB_OWNER.name not in fields:
        return None
    owner: str = await decode(client, [fields[JOB_OWNER.name]])
    return owner


async def delete(client: Client, execution: WorkflowExecution) -> None:
    """Have the server forget one run."""
    with translated_errors(execution.workflow_id):
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=client.namespace, workflow_execution=execution
            ),
            timeout=RPC_TIMEOUT,
        )


async def last_events(client: Client, job_id: str, run_id: str) -> list[HistoryEvent]:
    """Return the end of a job's history, newest first."""
    with translated_errors(job_id):
        response = await client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
                maximum_page_size=LAST_EVENTS,
            ),
            timeout=RPC_TIMEOUT,
        )
    for event in response.history.events:
        await open_event(client, event)
    return list(response.history.events)


async def first_event(client: Client, job_id: str, run_id: str) -> HistoryEvent:
    """Return the event that started a job; it holds the input."""
    with translated_errors(job_id):
        response = await client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
                maximum_page_size=1,
            ),
            timeout=RPC_TIMEOUT,
        )
    return response.history.events[0]


async def decode(client: Client, payloads: Sequence[Payload]) -> Any:
    """Return the first of ``payloads`` as plain JSON data."""
    values = await client.data_converter.decode(list(payloads)) if payloads else []
    return values[0] if values else None


async def words(client: Client, payloads: Sequence[Payload]) -> str:
    """Return the first of ``payloads`` as words; of one whose key is missing here, that it is."""
    try:
        return str(await decode(client, payloads) or "")
    except EncryptionKeyMissing as error:
        return str(error)


async def memo_value(client: Client, info: WorkflowExecutionInfo, name: str) -> Any:
    """Return one value of a job's memo, or ``None``."""
    fields = info.memo.fields
    return await decode(client, [fields[name]]) if name in fields else None


async def summary(
    client: Client, info: WorkflowExecutionInfo, state: JobState, ui_url: str | None
) -> JobStatus:
    """Return what a list entry or a description tells by itself of a job."""
    attributes = info.search_attributes.indexed_fields
    tags = await decode(client, [attributes[JOB_TAGS.name]]) if JOB_TAGS.name in attributes else []
    kind = KINDS_BY_WORKFLOW.get(info.type.name)
    delayed = info.execution_time.ToNanoseconds() > info.start_time.ToNanoseconds()
    names = [
        await decode(client, [attributes[key.name]]) if key.name in attributes else None
        for key in (JOB_KIND, JOB_OWNER)
    ]
    return JobStatus(
        id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        kind=kind.name if kind else (names[0] or info.type.name),
        state=state,
        progress=JobProgress(percent=COMPLETE_PERCENT if state is JobState.COMPLETED else None),
        owner=names[1],
        priority=info.priority.priority_key or 3,
        tags=dict(tag.split("=", 1) for tag in tags),
        created_at=instant(info.start_time),
        scheduled_at=instant(info.execution_time) if delayed else None,
        finished_at=instant(info.close_time) if info.HasField("close_time") else None,
        links=links(client, info.execution.workflow_id, ui_url),
    )


async def status(
    client: Client,
    job_id: str,
    *,
    with_input: bool = False,
    ui_url: str | None = None,
    owner: str | None = None,
) -> JobStatus:
    """Return what is known of a job: one call to the server while it is open, two once closed.

    ``with_input`` may cost one more. So does a job that is just between two steps. With ``owner``,
    another's job is not found.
    """
    description = await describe(client, job_id, owner=owner)
    return await told(client, description, with_input=with_input, ui_url=ui_url)


async def told(
    client: Client,
    description: DescribeWorkflowExecutionResponse,
    *,
    with_input: bool = False,
    ui_url: str | None = None,
) -> JobStatus:
    """Return what is known of the job that is described."""
    job_id = description.workflow_execution_info.execution.workflow_id
    info = description.workflow_execution_info
    state = derive_state(description)
    job = await summary(client, info, state, ui_url)
    events: list[HistoryEvent] = []
    updates: dict[str, Any]
    if state.final:
        events = await last_events(client, job_id, info.execution.run_id)
        updates = await _closed(client, events, state)
    elif (pending := current_activity(description)) is not None:
        updates = await _at_step(client, pending)
    elif state in {JobState.SCHEDULED, JobState.WAITING}:
        updates = {"progress": JobProgress(percent=0.0)}
    else:
        events = await last_events(client, job_id, info.execution.run_id)
        updates = {"progress": JobProgress(percent=_percent_so_far(events))}
    if not state.final and (whole := await tallied(client, description)) is not None:
        updates["progress"] = whole
    if state is JobState.HELD and (hold := await hold_of(client, info)) is not None:
        updates |= _held(hold)
    if with_input:
        updates["input"] = await _input(client, job, events)
    return job.model_copy(update=updates)


async def status_at_end(client: Client, job_id: str, *, ui_url: str | None = None) -> JobStatus:
    """As ``status``, of a job that has just ended: one call, if its history fits into one."""
    events = await last_events(client, job_id, "")
    state = CLOSING.get(events[0].event_type)
    info = _told_by(events, job_id)
    if state is None or info is None:
        return await status(client, job_id, ui_url=ui_url)
    job = await summary(client, info, state, ui_url)
    return job.model_copy(update=await _closed(client, events, state))


def _told_by(events: Sequence[HistoryEvent], job_id: str) -> WorkflowExecutionInfo | None:
    """Return what the history of a closed run tells of it, ``None`` if the start isn't there.

    A run that was reset begins with another run's events, so it doesn't tell its own id.
    """
    first = events[-1]
    reset = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    causes = (event.workflow_task_failed_event_attributes.cause for event in events)
    if first.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED or reset in causes:
        return None
    started = first.workflow_execution_started_event_attributes
    begins = Timestamp()
    begins.FromNanoseconds(
        first.event_time.ToNanoseconds() + started.first_workflow_task_backoff.ToNanoseconds()
    )
    return WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=job_id, run_id=started.original_execution_run_id),
        type=started.workflow_type,
        priority=started.priority,
        search_attributes=started.search_attributes,
        start_time=first.event_time,
        execution_time=begins,
        close_time=events[0].event_time,
    )


async def _at_step(client: Client, pending: PendingActivityInfo) -> dict[str, Any]:
    """Tell of the step that a job is at."""
    reported = Progress(step=pending.activity_type.name.partition(".")[2])
    if pending.heartbeat_details.payloads:
        with suppress(EncryptionKeyMissing):  # that it runs is worth telling
            decoded = await client.data_converter.decode(
                list(pending.heartbeat_details.payloads[:1]), [Progress]
            )
            reported = decoded[0]
    policy_attempts = pending.maximum_attempts
    updates: dict[str, Any] = {
        "progress": _progress(pending, reported),
        "attempts": pending.attempt,
        "max_attempts": None if policy_attempts == WAITING_UNLIMITED else policy_attempts,
    }
    if pending.HasField("last_started_time"):
        updates["started_at"] = instant(pending.last_started_time)
    if pending.attempt > 1 and pending.HasField("next_attempt_schedule_time"):
        updates["next_attempt_at"] = instant(pending.next_attempt_schedule_time)
    if pending.HasField("last_failure"):
        updates["error"] = failure(
            pending.last_failure,
            retryable=True,
            attempt=pending.attempt - 1,
            at=instant(pending.last_attempt_complete_time)
            if pending.HasField("last_attempt_complete_time")
            else None,
        )
    return updates


def _progress(pending: PendingActivityInfo, reported: Progress) -> JobProgress:
    place, of = _place(pending.activity_id)
    share = min(1.0, reported.done / reported.total) if reported.total else 0.0
    rate = eta = None
    if reported.done and pending.HasField("last_heartbeat_time"):
        elapsed_ns = (
            pending.last_heartbeat_time.ToNanoseconds() - pending.last_started_time.ToNanoseconds()
        )
        rate = reported.done / (elapsed_ns / 1e9) if elapsed_ns > 0 else None
    if rate and reported.total:
        eta = max(0.0, (reported.total - reported.done) / rate)
    return JobProgress(
        **reported.model_dump(),
        percent=round((place - 1 + share) / of * 100, 1) if of else None,
        rate=round(rate, 2) if rate else None,
        eta_seconds=round(eta, 1) if eta is not None else None,
    )


def _place(activity_id: str) -> tuple[int, int]:
    """Return which step of how many an activity is, from its id ``2of4``; (0, 0) for others."""
    place, of, count = activity_id.partition("of")
    return (int(place), int(count)) if of and place.isdigit() and count.isdigit() else (0, 0)


def _percent_so_far(events: Sequence[HistoryEvent]) -> float:
    """Return how far a job is that is at no step: it has just ended one, or waits."""
    failed = 0
    for event in events:
        if event.event_type in FAILED_STEP:
            failed = 1
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            place, of = _place(event.activity_task_scheduled_event_attributes.activity_id)
            return round((place - failed) / of * 100, 1) if of else 0.0
    return 0.0


async def _closed(
    client: Client, events: Sequence[HistoryEvent], state: JobState
) -> dict[str, Any]:
    """Tell how a job ended, from the end of its history."""
    updates: dict[str, Any] = {}
    started = [e for e in events if e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED]
    if started:
        updates["attempts"] = started[0].activity_task_started_event_attributes.attempt
        updates["started_at"] = instant(started[-1].event_time)
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            policy = event.activity_task_scheduled_event_attributes.retry_policy
            updates["max_attempts"] = policy.maximum_attempts or None
            break
    end = events[0]
    at = instant(end.event_time)
    match state:
        case JobState.COMPLETED:
            payloads = end.workflow_execution_completed_event_attributes.result.payloads
            updates["result"] = await decode(client, payloads)
            updates["progress"] = JobProgress(percent=COMPLETE_PERCENT)
        case JobState.FAILED:
            cause = end.workflow_execution_failed_event_attributes.failure
            updates["error"] = failure(
                cause, retryable=False, attempt=updates.get("attempts"), at=at
            )
        case JobState.TIMED_OUT:
            updates["error"] = JobFailure(
                type="DeadlineExceeded",
                message="the job's deadline passed before it was done",
                retryable=False,
                attempt=updates.get("attempts"),
                at=at,
            )
        case JobState.TERMINATED:
            reason = end.workflow_execution_terminated_event_attributes.reason
            updates["error"] = JobFailure(
                type="Terminated", message=reason or "terminated", retryable=False, at=at
            )
        case _:
            pass
    return updates


def failure(
    outer: Failure, *, retryable: bool, attempt: int | None, at: datetime | None
) -> JobFailure:
    """Return the innermost cause that says why, without stack traces."""
    inner = outer
    while inner.HasField("cause") and not inner.HasField("application_failure_info"):
        inner = inner.cause
    if inner.HasField("application_failure_info"):
        kind = inner.application_failure_info.type or "Error"
    elif inner.HasField("timeout_failure_info"):
        kind = {1: "StepTimedOut", 4: "WorkerLost"}.get(
            inner.timeout_failure_info.timeout_type, "TimedOut"
        )
    else:
        kind = "Error"
    return JobFailure(type=kind, message=inner.message, retryable=retryable, attempt=attempt, at=at)


async def _input(
    client: Client, job: JobStatus, events: Sequence[HistoryEvent]
) -> dict[str, Any] | None:
    """Return a job's input for display, personal data replaced."""
    started = (
        events[-1]
        if events and events[-1].event_id == 1
        else await first_event(client, job.id, job.run_id)
    )
    data = await decode(client, started.workflow_execution_started_event_attributes.input.payloads)
    if not isinstance(data, dict):
        return None
    kind = KINDS.get(job.kind)
    return validation.redact(kind.input, data) if kind else data


async def hold_of(client: Client, info: WorkflowExecutionInfo) -> Hold | None:
    """Return the hold that a job says it is under, while it waits or before its next step."""
    told = None
    with suppress(EncryptionKeyMissing):  # that it is held is worth telling
        told = await memo_value(client, info, MEMO_HOLD)
    return Hold.model_validate(told) if told else None


def _held(hold: Hold) -> dict[str, Any]:
    """Tell why a job is held."""
    if hold.error is None:
        return {"held_because": hold.reason}
    message = hold.reason.removeprefix(f"{hold.error}: ")
    failed = JobFailure(type=hold.error, message=message, retryable=False, at=hold.since)
    return {"held_because": hold.reason, "error": failed}


def links(client: Client, job_id: str, ui_url: str | None) -> JobLinks:
    """Return where to read more of a job."""
    page = f"{ui_url}/namespaces/{client.namespace}/workflows/{job_id}" if ui_url else None
    return JobLinks(temporal_ui=page)


def instant(timestamp: Timestamp) -> datetime:
    """Return a server's timestamp as an aware instant."""
    return timestamp.ToDatetime(tzinfo=UTC)


async def last_attempt(client: Client, job_id: str, run_id: str) -> int:
    """Return how often the last step of a job was tried; 0 where none was begun."""
    for event in await last_events(client, job_id, run_id):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            return event.activity_task_started_event_attributes.attempt
    return 0

"""How a closed job ended, from the end of its history."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from jobs.client.reading.calls import last_events
from jobs.client.reading.values import decode, failure, instant
from jobs.status import JobFailure, JobProgress, JobState

CLOSING: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: JobState.COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: JobState.FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: JobState.TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: JobState.CANCELLED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: JobState.TERMINATED,
}
"""Events that end a job, and how."""
COMPLETE_PERCENT: Final = 100.0


async def ended(client: Client, events: Sequence[HistoryEvent], state: JobState) -> dict[str, Any]:
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


def told_by(events: Sequence[HistoryEvent], job_id: str) -> WorkflowExecutionInfo | None:
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


async def last_attempt(client: Client, job_id: str, run_id: str) -> int:
    """Return how often the last step of a job was tried; 0 where none was begun."""
    for event in await last_events(client, job_id, run_id):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            return event.activity_task_started_event_attributes.attempt
    return 0

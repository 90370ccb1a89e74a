"""What is known of a job: three to five calls to the server, and none to a worker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs.client import reading
from jobs.client.explaining import sentences
from jobs.client.explaining.facts import Act, Explanation, Facts, Step
from jobs.client.holding import asked_hold
from jobs.client.queues import QueueStatus, queue_status
from jobs.client.reading import instant
from jobs.deliveries import DELIVERY
from jobs.kinds import KINDS_BY_WORKFLOW
from jobs.places import MEMO_PLACE
from jobs.status import JobFailure, current_activity

SCHEDULED: Final = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


async def explain(client: Client, description: DescribeWorkflowExecutionResponse) -> Explanation:
    """Say why the job that is described is where it is."""
    return sentences.explain(await gather(client, description))


async def gather(client: Client, description: DescribeWorkflowExecutionResponse) -> Facts:
    """Return what is known of a job."""
    info, extended = description.workflow_execution_info, description.workflow_extended_info
    job = await reading.told(client, description)
    events = await reading.last_events(client, job.id, job.run_id)
    now = datetime.now(UTC)
    pending = current_activity(description)
    step = _step(pending) if pending else None
    stuck = _stuck(description, events)
    hold = await asked_hold(client, description, events)
    return Facts(
        job=job,
        now=now,
        deadline=instant(extended.execution_expiration_time)
        if extended.HasField("execution_expiration_time")
        else None,
        queue=await _queue(client, description, step, stuck),
        step=step,
        hold=hold,
        stuck=stuck,
        paused=Act(
            at=instant(extended.pause_info.paused_time),
            author=extended.pause_info.identity,
            reason=extended.pause_info.reason,
        )
        if extended.HasField("pause_info")
        else None,
        ended=_ended(events) if job.state.final else None,
        timer=None if job.state.final else await _timer(client, events),
        waits_for=tuple(
            child.workflow_id
            for child in description.pending_children
            if child.workflow_type_name in KINDS_BY_WORKFLOW
        ),
        place=await reading.memo_value(client, info, MEMO_PLACE) or "",
        before=await _before(client, events, info.type.name),
    )


async def _queue(
    client: Client,
    description: DescribeWorkflowExecutionResponse,
    step: Step | None,
    stuck: JobFailure | None,
) -> QueueStatus | None:
    """Return how the queue stands whose worker the job waits for, if it waits for one."""
    waits = step.waits if step else description.HasField("pending_workflow_task")
    if stuck is not None or not waits:
        return None
    return await queue_status(client, description.workflow_execution_info.task_queue)


def _step(pending: PendingActivityInfo) -> Step:
    due = pending.next_attempt_schedule_time
    return Step(
        name=pending.activity_type.name.partition(".")[2] or pending.activity_type.name,
        place=pending.activity_id if "of" in pending.activity_id else "",
        since=instant(pending.scheduled_time),
        waits=pending.state == SCHEDULED,
        due=instant(due)
        if pending.attempt > 1 and pending.HasField("next_attempt_schedule_time")
        else None,
        paused=Act(
            at=instant(pending.pause_info.pause_time),
            author=pending.pause_info.manual.identity,
            reason=pending.pause_info.manual.reason,
        )
        if pending.paused
        else None,
    )


def _stuck(
    description: DescribeWorkflowExecutionResponse, events: Sequence[HistoryEvent]
) -> JobFailure | None:
    """Return how the workflow's code fails; the server tells of the first time only."""
    tries = description.pending_workflow_task.attempt
    for event in events if tries > 1 else ():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failed = event.workflow_task_failed_event_attributes.failure
            return reading.failure(
                failed, retryable=True, attempt=tries, at=instant(event.event_time)
            )
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            break
    return None


def _ended(events: Sequence[HistoryEvent]) -> Act | None:
    """Return who ended a job."""
    for event in events:
        at = instant(event.event_time)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            ended = event.workflow_execution_terminated_event_attributes
            return Act(at=at, author=ended.identity, reason=ended.reason)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            asked = event.workflow_execution_cancel_requested_event_attributes
            return Act(at=at, author=asked.identity, reason=asked.cause)
    return None


async def _timer(client: Client, events: Sequence[HistoryEvent]) -> tuple[datetime, str] | None:
    """Return until when a job sleeps, and what for."""
    over = set()
    for event in events:
        over.add(event.timer_fired_event_attributes.started_event_id)
        over.add(event.timer_canceled_event_attributes.started_event_id)
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED and event.event_id not in over:
            length = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            summary = event.user_metadata.summary
            words = await reading.decode(client, [summary]) if summary.data else ""
            return instant(event.event_time) + length, str(words)
    return None


async def _before(
    client: Client, events: Sequence[HistoryEvent], workflow: str
) -> JobFailure | None:
    """Return how the step failed that was the last to end."""
    for event in events:
        at = instant(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes.failure
                return reading.failure(failed, retryable=True, attempt=None, at=at)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                failed = event.activity_task_timed_out_event_attributes.failure
                return reading.failure(failed, retryable=True, attempt=None, at=at)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED if workflow == DELIVERY.workflow:
                result = event.activity_task_completed_event_attributes.result.payloads
                return _answer(await reading.decode(client, result), at)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                return None
            case _:
                continue
    return None


def _answer(outcome: Any, at: datetime) -> JobFailure | None:
    """Return what a delivery's attempt came to, which is a result and no failure."""
    error = outcome.get("error") if isinstance(outcome, dict) else None
    if not error:
        return None
    kind = outcome.get("error_type") or "NotAccepted"
    return JobFailure(type=kind, message=error, retryable=True, at=at)

"""Reading a job: the server's description, and for a closed job the end of its history."""

from collections.abc import Sequence
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs import validation
from jobs.attributes import JOB_KIND, JOB_OWNER, JOB_TAGS
from jobs.client.reading.calls import check_id, delete, describe, first_event, last_events
from jobs.client.reading.ends import CLOSING, COMPLETE_PERCENT, ended, last_attempt, told_by
from jobs.client.reading.steps import at_step, percent_so_far
from jobs.client.reading.values import decode, failure, hold_of, instant, links, memo_value, words
from jobs.client.tallies import tallied
from jobs.errors import ConflictError
from jobs.holds import Hold
from jobs.kinds import KINDS, KINDS_BY_WORKFLOW
from jobs.status import JobFailure, JobProgress, JobState, JobStatus, current_activity, derive_state

__all__ = [
    "CLOSING",
    "check_id",
    "decode",
    "delete",
    "describe",
    "failure",
    "first_event",
    "hold_of",
    "id_of_open",
    "instant",
    "last_attempt",
    "last_events",
    "links",
    "memo_value",
    "status",
    "status_at_end",
    "summary",
    "told",
    "words",
]


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
        updates = await ended(client, events, state)
    elif (pending := current_activity(description)) is not None:
        updates = await at_step(client, pending)
    elif state in {JobState.SCHEDULED, JobState.WAITING}:
        updates = {"progress": JobProgress(percent=0.0)}
    else:
        events = await last_events(client, job_id, info.execution.run_id)
        updates = {"progress": JobProgress(percent=percent_so_far(events))}
    if not state.final and (whole := await tallied(client, description)) is not None:
        updates["progress"] = whole
    if state is JobState.HELD and (hold := await hold_of(client, info)) is not None:
        updates |= _held(hold)
    if with_input:
        updates["input"] = await _input(client, job, events)
    return job.model_copy(update=updates)


def id_of_open(description: DescribeWorkflowExecutionResponse) -> str:
    """Return the id of the job that is described.

    Raises:
        ConflictError: It has already ended.
    """
    job_id = description.workflow_execution_info.execution.workflow_id
    state = derive_state(description)
    if state.final:
        msg = f"job {job_id!r} has already ended: it is {state}"
        raise ConflictError(msg)
    return job_id


async def status_at_end(client: Client, job_id: str, *, ui_url: str | None = None) -> JobStatus:
    """As ``status``, of a job that has just ended: one call, if its history fits into one."""
    events = await last_events(client, job_id, "")
    state = CLOSING.get(events[0].event_type)
    info = told_by(events, job_id)
    if state is None or info is None:
        return await status(client, job_id, ui_url=ui_url)
    job = await summary(client, info, state, ui_url)
    return job.model_copy(update=await ended(client, events, state))


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


def _held(hold: Hold) -> dict[str, Any]:
    """Tell why a job is held."""
    if hold.error is None:
        return {"held_because": hold.reason}
    message = hold.reason.removeprefix(f"{hold.error}: ")
    failed = JobFailure(type=hold.error, message=message, retryable=False, at=hold.since)
    return {"held_because": hold.reason, "error": failed}

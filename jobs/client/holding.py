"""Holding jobs and releasing them: by a signal to the job, which a worker takes.

With no worker alive the signal waits in the job's history: the job begins no further step when a
worker comes, and ``explain`` tells of the hold meanwhile. Alerts are ended here, without a worker.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs.attributes import JOB_ERROR
from jobs.base import Contract
from jobs.client import listing, reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError, Problem
from jobs.holds import Hold, alert_id
from jobs.status import JobState, derive_state

HOLD: Final = "hold"
RELEASE: Final = "release"
MAX_REASON: Final = 500
SIGNALS_AT_ONCE: Final = 20


class Released(Contract):
    """What a release by filter has let go, or with ``dry_run`` would."""

    count: int
    errors: dict[str, int]
    """How many were held by each type of error; those that a person held under ``""``."""
    dry_run: bool = False


async def hold(client: Client, description: DescribeWorkflowExecutionResponse, reason: str) -> None:
    """Ask a job to begin no further step.

    Raises:
        InvalidInputError: There is no reason, or it is too long.
        ConflictError: The job has ended, or is held.
    """
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        fix = f"say in a line of at most {MAX_REASON} characters why"
        raise InvalidInputError([Problem("reason", fix)])
    job_id = reading.id_of_open(description)
    if (held := await asked_hold(client, description)) is not None:
        msg = f"job {job_id!r} is held already: {held.reason}"
        raise ConflictError(msg)
    with translated_errors(job_id):
        await client.get_workflow_handle(job_id).signal(
            HOLD, reason.strip(), rpc_timeout=RPC_TIMEOUT
        )


async def release(client: Client, description: DescribeWorkflowExecutionResponse) -> None:
    """Let a held job go on.

    Raises:
        ConflictError: It is not held.
    """
    job_id = description.workflow_execution_info.execution.workflow_id
    state = derive_state(description)
    held = None if state.final else await asked_hold(client, description)
    if held is None:
        msg = f"job {job_id!r} is not held: it is {state}"
        raise ConflictError(msg)
    if held.error is not None:
        await end_alert(client, held.error)
    await _signal_release(client, job_id)


async def release_matching(
    client: Client, wanted: JobFilter, *, owner: str | None, dry_run: bool
) -> Released:
    """Let go every held job that a filter matches.

    Raises:
        InvalidInputError: The filter names nothing: that would be every held job.
    """
    held = replace(wanted, state=JobState.HELD)
    if held == JobFilter(state=JobState.HELD):
        fix = "name at least one of kind, error, owner, tag and since"
        raise InvalidInputError([Problem("filter", fix)])
    if owner is not None:
        held = replace(held, owner=owner)
    found = await _held_jobs(client, held)
    errors = Counter(found.values())
    if not dry_run:
        for error in errors:
            if error:
                await end_alert(client, error)
        await _release_all(client, list(found))
    return Released(count=len(found), errors=dict(errors.most_common()), dry_run=dry_run)


async def _held_jobs(client: Client, held: JobFilter) -> dict[str, str]:
    """Return the ids of held jobs, each with the type of the error that holds it."""
    found: dict[str, str] = {}
    async for info in listing.every_execution(client, held.query()):
        fields = info.search_attributes.indexed_fields
        error = JOB_ERROR.name in fields and await reading.decode(client, [fields[JOB_ERROR.name]])
        found.setdefault(info.execution.workflow_id, error or "")
    return found


async def _release_all(client: Client, job_ids: Sequence[str]) -> None:
    gate = asyncio.Semaphore(SIGNALS_AT_ONCE)

    async def one(job_id: str) -> None:
        async with gate:
            try:
                await _signal_release(client, job_id)
            except JobNotFoundError:
                return  # it has ended since it was listed

    await asyncio.gather(*(one(job_id) for job_id in job_ids))


async def _signal_release(client: Client, job_id: str) -> None:
    with translated_errors(job_id):
        await client.get_workflow_handle(job_id).signal(RELEASE, rpc_timeout=RPC_TIMEOUT)


async def end_alert(client: Client, error: str) -> None:
    """End the alert of a cause, so that the same failure after the release is told anew."""
    name = alert_id(error)
    try:
        with translated_errors(name):
            await client.get_workflow_handle(name).terminate(
                reason="a job was released; if it fails so again, another alert is raised",
                rpc_timeout=RPC_TIMEOUT,
            )
    except JobNotFoundError:
        return  # none is open


async def count_held(client: Client, error: str) -> int:
    """Return how many jobs are held by errors of that type."""
    wanted = JobFilter(state=JobState.HELD, error=error)
    with translated_errors():
        counted = await client.count_workflows(wanted.query(), rpc_timeout=RPC_TIMEOUT)
    return counted.count


async def asked_hold(
    client: Client,
    description: DescribeWorkflowExecutionResponse,
    events: Sequence[HistoryEvent] | None = None,
) -> Hold | None:
    """Return the hold that a job is under, also one that no worker has taken note of yet."""
    info = description.workflow_execution_info
    held = await reading.hold_of(client, info)
    if events is None:
        events = await reading.last_events(
            client, info.execution.workflow_id, info.execution.run_id
        )
    for event in events:  # newest first: the signals since a worker last took note of any
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return held
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == RELEASE:
            return None
        if signal.signal_name == HOLD:
            reason = await reading.words(client, signal.input.payloads)
            return Hold(reason=reason, since=reading.instant(event.event_time))
    return held

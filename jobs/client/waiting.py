"""Waiting until a job has ended, and what it gave."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHistoryEventFilterType

from jobs.client import reading
from jobs.client.connection import translated_errors
from jobs.errors import ConflictError, JobCancelledError, JobFailedError, WaitTimedOutError
from jobs.status import JobState, JobStatus


async def until_final(
    client: Client, job_id: str, *, within: timedelta | None, ui_url: str | None
) -> JobStatus:
    """Return the job when it is final, in whichever of its runs.

    Raises:
        WaitTimedOutError: It was not, ``within`` that time.
    """
    try:
        async with asyncio.timeout(within.total_seconds() if within else None):
            while True:
                await _until_run_closes(client, job_id)
                job = await reading.status_at_end(client, job_id, ui_url=ui_url)
                if job.state.final:
                    return job
    except TimeoutError:
        msg = f"job {job_id!r} is not done after {within}; it goes on"
        raise WaitTimedOutError(msg) from None


async def _until_run_closes(client: Client, job_id: str) -> None:
    handle = client.get_workflow_handle(job_id)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    with translated_errors(job_id):
        async for _ in handle.fetch_history_events(
            wait_new_event=True, event_filter_type=closing, skip_archival=True
        ):
            return


def result_of(job: JobStatus) -> dict[str, Any]:
    """Return what a completed job gave.

    Raises:
        ConflictError: The job is not done yet.
        JobFailedError: It failed or timed out.
        JobCancelledError: It was cancelled or terminated.
    """
    match job.state:
        case JobState.COMPLETED:
            return job.result or {}
        case JobState.FAILED | JobState.TIMED_OUT:
            error = job.error
            msg = f"job {job.id!r} {job.state}: {error.type}: {error.message}" if error else ""
            raise JobFailedError(msg)
        case JobState.CANCELLED | JobState.TERMINATED:
            msg = f"job {job.id!r} was {job.state}: it has no result"
            raise JobCancelledError(msg)
        case _:
            msg = f"job {job.id!r} is {job.state}: it has no result yet"
            raise ConflictError(msg)

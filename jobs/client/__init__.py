"""``JobClient``: submit jobs, follow them, act on them.

The command line and the HTTP API are thin over it; a rule that both need lives here.

    client = JobClient(await connect())
    job = await client.submit("email", {"template": "welcome", "user_id": "ada"})
    job = await client.wait(job.id)
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client, WorkflowHistoryEventFilterType

from jobs import kinds, validation
from jobs.client import listing, reading, submission
from jobs.client.connection import RPC_TIMEOUT, connect, translated_errors
from jobs.client.listing import Count, JobFilter, JobPage
from jobs.client.logs import LogLine, logs
from jobs.client.submission import OnConflict, Submission
from jobs.errors import ConflictError, JobCancelledError, JobFailedError, WaitTimedOutError
from jobs.status import JobState, JobStatus, derive_state

__all__ = [
    "Count",
    "JobClient",
    "JobFilter",
    "JobPage",
    "LogLine",
    "OnConflict",
    "Submission",
    "connect",
]

WATCH_INTERVAL: Final = timedelta(seconds=0.5)


class JobClient:
    """Jobs on one Temporal namespace.

    Args:
        temporal: A client that uses ``jobs.converter.DATA_CONVERTER``; ``connect`` makes one.
        ui_url: Address of the Temporal Web UI, for links.
    """

    def __init__(self, temporal: Client, *, ui_url: str | None = None) -> None:
        self.temporal = temporal
        self.ui_url = ui_url

    async def submit(
        self, kind: str, data: Mapping[str, Any], options: Submission | None = None
    ) -> JobStatus:
        """Start a job of ``kind``, or return the one that the id already names.

        ``created`` of the answer tells which it was.

        Raises:
            InvalidInputError: The kind, the input or an option is wrong; nothing was started.
            ConflictError: The id is taken by a job with another payload.
            ServerUnreachableError: The server stayed away for a minute.
        """
        job_kind = kinds.find(kind)
        made = await submission.submit(self.temporal, job_kind, data, options or Submission())
        status = await self.status(made.job_id)
        shown = validation.redact(job_kind.input, made.input.model_dump(mode="json"))
        return status.model_copy(update={"created": made.created, "input": shown})

    async def status(self, job_id: str, *, with_input: bool = False) -> JobStatus:
        """Return the job as it is now: one call to the server while it is open, two once closed.

        Raises:
            JobNotFoundError: There is no such job.
        """
        return await reading.status(
            self.temporal, job_id, with_input=with_input, ui_url=self.ui_url
        )

    async def wait(self, job_id: str, *, within: timedelta | None = None) -> JobStatus:
        """Return the job when it is final.

        Raises:
            WaitTimedOutError: It was not, ``within`` that time.
        """
        try:
            async with asyncio.timeout(within.total_seconds() if within else None):
                while True:
                    await self._until_run_closes(job_id)
                    job = await self.status(job_id)
                    if job.state.final:
                        return job
        except TimeoutError:
            msg = f"job {job_id!r} is not done after {within}; it goes on"
            raise WaitTimedOutError(msg) from None

    async def _until_run_closes(self, job_id: str) -> None:
        handle = self.temporal.get_workflow_handle(job_id)
        closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
        with translated_errors(job_id):
            async for _ in handle.fetch_history_events(
                wait_new_event=True, event_filter_type=closing, skip_archival=True
            ):
                return

    async def watch(
        self, job_id: str, *, interval: timedelta = WATCH_INTERVAL
    ) -> AsyncIterator[JobStatus]:
        """Yield the job now and after each change, the final state last."""
        seen: JobStatus | None = None
        while True:
            job = await self.status(job_id)
            if job != seen:
                yield job
                seen = job
            if job.state.final:
                return
            await asyncio.sleep(interval.total_seconds())

    async def result(self, job_id: str) -> dict[str, Any]:
        """Return what a completed job gave.

        Raises:
            ConflictError: The job is not done yet.
            JobFailedError: It failed or timed out.
            JobCancelledError: It was cancelled or terminated.
        """
        job = await self.status(job_id)
        match job.state:
            case JobState.COMPLETED:
                return job.result or {}
            case JobState.FAILED | JobState.TIMED_OUT:
                error = job.error
                msg = f"job {job_id!r} {job.state}: {error.type}: {error.message}" if error else ""
                raise JobFailedError(msg)
            case JobState.CANCELLED | JobState.TERMINATED:
                msg = f"job {job_id!r} was {job.state}: it has no result"
                raise JobCancelledError(msg)
            case _:
                msg = f"job {job_id!r} is {job.state}: it has no result yet"
                raise ConflictError(msg)

    def logs(self, job_id: str, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """Yield what happened to the job, oldest first; with ``follow``, on until it ends."""
        return logs(self.temporal, job_id, follow=follow)

    async def list(
        self, wanted: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first, only the newest run of each id."""
        return await listing.page(
            self.temporal, wanted or JobFilter(), limit=limit, cursor=cursor, ui_url=self.ui_url
        )

    async def count(self, by: str = "state", *, owner: str | None = None) -> Sequence[Count]:
        """Count jobs by ``kind``, ``state`` or ``error``."""
        return await listing.count(self.temporal, by, owner=owner)

    async def cancel(self, job_id: str) -> None:
        """Ask the job to stop; it cleans up and ends as ``cancelled``.

        Raises:
            ConflictError: It has already ended.
        """
        state = derive_state(await reading.describe(self.temporal, job_id))
        if state.final:
            msg = f"job {job_id!r} has already ended: it is {state}"
            raise ConflictError(msg)
        with translated_errors(job_id):
            await self.temporal.get_workflow_handle(job_id).cancel(rpc_timeout=RPC_TIMEOUT)

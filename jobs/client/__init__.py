"""``JobClient``: submit jobs, follow them, act on them.

The command line and the HTTP API are thin over it; a rule that both need lives here.

    client = JobClient(await connect())
    job = await client.submit("email", {"template": "welcome", "user_id": "ada"})
    job = await client.wait(job.id)
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio.client import Client

from jobs import kinds, validation
from jobs.client import (
    cancelling,
    counting,
    deleting,
    explaining,
    holding,
    listing,
    moving,
    owning,
    reading,
    redriving,
    retrying,
    submission,
    waiting,
)
from jobs.client.cancelling import Cancelled
from jobs.client.connection import connect
from jobs.client.counting import Count
from jobs.client.deleting import Traces
from jobs.client.explaining import Explanation
from jobs.client.files import StoredFiles
from jobs.client.following import Follower, Look
from jobs.client.holding import Released
from jobs.client.listing import JobFilter, JobPage
from jobs.client.logs import LogLine, logs
from jobs.client.redriving import RedrivePreview, RedriveStatus
from jobs.client.retrying import Retried
from jobs.client.submission import OnConflict, Submission
from jobs.redrives import RedriveFilter
from jobs.status import JobStatus
from jobs.traces import Erased

__all__ = [
    "Cancelled",
    "Count",
    "Explanation",
    "Follower",
    "JobClient",
    "JobFilter",
    "JobPage",
    "LogLine",
    "Look",
    "OnConflict",
    "RedrivePreview",
    "RedriveStatus",
    "Released",
    "Retried",
    "Submission",
    "Traces",
    "connect",
]

WATCH_INTERVAL: Final = timedelta(seconds=0.5)


class JobClient:
    """Jobs on one Temporal namespace.

    Args:
        temporal: A client that uses ``jobs.converter.DATA_CONVERTER``; ``connect`` makes one.
        ui_url: Address of the Temporal Web UI, for links.
        open_files: Opens storage, so that a submission which names a file that isn't there, or is
            too large, is refused. Without it the step that reads the file says so.
        owner: Limits the client to this owner's jobs: every other job is not found, and what it
            submits is the owner's. ``None`` sees all.
    """

    def __init__(
        self,
        temporal: Client,
        *,
        ui_url: str | None = None,
        open_files: Callable[[], StoredFiles] | None = None,
        owner: str | None = None,
    ) -> None:
        self.temporal = temporal
        self.ui_url = ui_url
        self.open_files = open_files
        self.owner = owner

    def of(self, owner: str | None) -> "JobClient":
        """Return a client that is limited to the jobs of ``owner``."""
        return JobClient(self.temporal, ui_url=self.ui_url, open_files=self.open_files, owner=owner)

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
        options = options or Submission()
        if self.owner is not None:
            options = await owning.owned(self.temporal, job_kind, data, options, self.owner)
        made = await submission.submit(
            self.temporal, job_kind, data, options, open_files=self.open_files
        )
        if made.created:
            status = submission.status_when_made(
                self.temporal, job_kind, made, options, self.ui_url
            )
        else:
            status = await self.status(made.job_id)
        shown = validation.redact(job_kind.input, made.input.model_dump(mode="json"))
        return status.model_copy(update={"created": made.created, "input": shown})

    async def may_read(self, key: str) -> bool:
        """Tell whether a file in storage is the owner's: an upload, or of one of their jobs."""
        return self.owner is None or await owning.may_read(self.temporal, key, self.owner)

    async def status(self, job_id: str, *, with_input: bool = False) -> JobStatus:
        """Return the job as it is now: one call to the server while it is open, two once closed.

        Raises:
            JobNotFoundError: There is no such job.
        """
        return await reading.status(
            self.temporal, job_id, with_input=with_input, ui_url=self.ui_url, owner=self.owner
        )

    async def wait(self, job_id: str, *, within: timedelta | None = None) -> JobStatus:
        """Return the job when it is final.

        Raises:
            WaitTimedOutError: It was not, ``within`` that time.
        """
        if self.owner is None:
            reading.check_id(job_id)
        else:
            await reading.describe(self.temporal, job_id, owner=self.owner)
        return await waiting.until_final(self.temporal, job_id, within=within, ui_url=self.ui_url)

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
        return waiting.result_of(await self.status(job_id))

    async def explain(self, job_id: str) -> Explanation:
        """Say why the job is where it is; works while no worker lives.

        Raises:
            JobNotFoundError: There is no such job.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        return await explaining.explain(self.temporal, description)

    async def logs(self, job_id: str, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """Yield what happened to the job, oldest first; with ``follow``, on until it ends."""
        if self.owner is not None:
            await reading.describe(self.temporal, job_id, owner=self.owner)
        async for line in logs(self.temporal, job_id, follow=follow):
            yield line

    def follower(self, job_id: str) -> Follower:
        """Return what looks at a job again and again and tells what is new."""
        return Follower(self.temporal, job_id, ui_url=self.ui_url, owner=self.owner)

    async def list(
        self, wanted: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first, only the newest run of each id."""
        wanted = wanted or JobFilter()
        if self.owner is not None:
            wanted = replace(wanted, owner=self.owner)
        return await listing.page(
            self.temporal, wanted, limit=limit, cursor=cursor, ui_url=self.ui_url
        )

    async def count(self, by: str = "state", *, owner: str | None = None) -> Sequence[Count]:
        """Count jobs by ``kind``, ``state`` or ``error``."""
        return await counting.count(self.temporal, by, owner=self.owner or owner)

    async def cancel(self, job_id: str) -> None:
        """Ask the job to stop; it cleans up and ends as ``cancelled``.

        Raises:
            ConflictError: It has already ended.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await cancelling.cancel(self.temporal, description)

    async def cancel_matching(self, wanted: JobFilter, *, dry_run: bool = False) -> Cancelled:
        """Ask every open job to stop that a filter matches, or only count them.

        Raises:
            InvalidInputError: The filter names nothing.
        """
        return await cancelling.cancel_matching(
            self.temporal, wanted, owner=self.owner, dry_run=dry_run
        )

    async def hold(self, job_id: str, reason: str) -> JobStatus:
        """Let the job begin no further step until it is released; a running one goes on.

        Raises:
            InvalidInputError: There is no reason.
            ConflictError: The job has ended, or is held already.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await holding.hold(self.temporal, description, reason)
        return await self.status(job_id)

    async def release(self, job_id: str) -> JobStatus:
        """Let a held job go on; a step whose failure held it runs afresh.

        Raises:
            ConflictError: The job is not held.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await holding.release(self.temporal, description)
        return await self.status(job_id)

    async def release_matching(self, wanted: JobFilter, *, dry_run: bool = False) -> Released:
        """Let every held job go on that a filter matches, or only count them.

        Raises:
            InvalidInputError: The filter names nothing.
        """
        return await holding.release_matching(
            self.temporal, wanted, owner=self.owner, dry_run=dry_run
        )

    async def retry(self, job_id: str, *, now: bool = False) -> Retried:
        """Let a job that ended badly go on from its failed step; what was finished stays.

        With ``now`` also cut the wait of an open job for its next attempt.

        Raises:
            ConflictError: The job is open and waits for no attempt, or has completed.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        return await retrying.retry(self.temporal, description, now=now)

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job at once, also one that hangs; it can't clean up.

        Raises:
            ConflictError: It has already ended.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await retrying.terminate(self.temporal, description, reason)

    async def preview_redrive(self, wanted: JobFilter) -> RedrivePreview:
        """Tell what ``redrive`` would do, and do nothing.

        Raises:
            InvalidInputError: The filter names nothing, or what can't be.
        """
        return await redriving.preview(self.temporal, self._to_redrive(wanted))

    async def redrive(self, wanted: JobFilter, *, rate: float | None = None) -> RedriveStatus:
        """Let every failed job that a filter matches go on from its failed step.

        It runs as a durable workflow of its own.

        Args:
            wanted: Which jobs. If it names no state: those that failed or timed out.
            rate: Jobs a second; None for as fast as it goes.

        Raises:
            InvalidInputError: The filter names nothing, or what can't be; nothing was started.
        """
        redrive_id = await redriving.start(self.temporal, self._to_redrive(wanted), rate)
        return await redriving.status(self.temporal, redrive_id)

    async def redrive_status(self, redrive_id: str) -> RedriveStatus:
        """Return how far a redrive is.

        Raises:
            JobNotFoundError: There is no such redrive.
        """
        return await redriving.status(self.temporal, redrive_id)

    def _to_redrive(self, wanted: JobFilter) -> RedriveFilter:
        checked = redriving.checked(wanted)
        return checked.model_copy(update={"owner": self.owner}) if self.owner else checked

    async def reschedule(self, job_id: str, at: datetime) -> JobStatus:
        """Let a job that has not begun begin ``at`` another instant; no worker is needed.

        Raises:
            InvalidInputError: The instant has no offset, is past, or is over five years ahead.
            ConflictError: The job has begun, or has ended.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await moving.move(self.temporal, description, at)
        return await self.status(job_id)

    async def promote(self, job_id: str) -> JobStatus:
        """Let a job that has not begun begin now; no worker is needed to say so.

        Raises:
            ConflictError: The job has begun, or has ended.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        await moving.move(self.temporal, description, None)
        return await self.status(job_id)

    async def delete(
        self, job_id: str, traces: Traces | None = None, *, results: bool = False
    ) -> Erased:
        """Forget a job that has ended: its history, input and result.

        Args:
            job_id: Which.
            traces: What also erases its files and ledgers, ``adapters.traces.Traces``; without it
                they are the caller's.
            results: Whether the files that the user asked for go too.

        Raises:
            JobNotFoundError: There is no such job.
            ConflictError: It is still open; cancel it first.
        """
        description = await reading.describe(self.temporal, job_id, owner=self.owner)
        return await deleting.delete(self.temporal, description, traces, results=results)

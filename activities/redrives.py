"""The step of a redrive: one page of failed jobs."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from temporalio import activity

from activities.progress import beat
from activities.working import job_folder
from jobs.files import StoredObject
from jobs.redrives import (
    FailedRun,
    FailedRuns,
    JobOutcome,
    Outcome,
    PageRedriven,
    RedriveCounts,
    RedriveFilter,
    RedrivePage,
    RedriveProgress,
)

AT_ONCE: Final = 32
"""Jobs that are made to go on side by side."""
BEAT_S: Final = 1.0


class FailedJobs(Protocol):
    """What this step needs of the jobs."""

    async def count(self, wanted: RedriveFilter, before: datetime) -> int:
        """Return how many runs match."""
        ...

    async def page(
        self, wanted: RedriveFilter, before: datetime, token: str | None, size: int
    ) -> FailedRuns:
        """Return a page of the runs that match; the same token gives the same page."""
        ...

    async def go_on(self, run: FailedRun, redrive_id: str) -> JobOutcome:
        """Let a job go on, unless it has since; asked again, tell what the first time came to."""
        ...


class Files(Protocol):
    """Where outcomes are written."""

    async def put(self, key: str, data: bytes) -> StoredObject:
        """Store ``data`` under ``key``."""
        ...


@dataclass(frozen=True, slots=True)
class RedriveActivities:
    """The step, over the jobs and storage."""

    jobs: FailedJobs
    files: Files

    @activity.defn(name="redrives.page")
    async def page(self, page: RedrivePage) -> PageRedriven:
        """Let each job of a page go on, at the rate, and store what became of each.

        Idempotent: the list of runs that had ended before the redrive began stays as it is, and a
        job goes on only if the run listed is its newest. Two attempts side by side, of which one
        has lost its heartbeat, could both find it so; the later one's run then replaces the other.
        """
        counts = page.counts
        if page.token is None:
            total = await self.jobs.count(page.wanted, page.before)
            counts = counts.model_copy(update={"total": total})
        found = await self.jobs.page(page.wanted, page.before, page.token, page.size)
        work = _Work(self.jobs, found.runs, page.rate, counts)
        outcomes = await work.do()
        if outcomes:
            lines = "".join(f"{outcome.model_dump_json()}\n" for outcome in outcomes)
            key = f"jobs/{job_folder()}/outcomes-{page.page:06d}.jsonl"
            await self.files.put(key, lines.encode())
        return PageRedriven(counts=work.counts(), next_token=found.next_token)

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.page,)


@dataclass(slots=True)
class _Work:
    """One page being worked off, some jobs side by side."""

    jobs: FailedJobs
    runs: Sequence[FailedRun]
    rate: float | None
    before: RedriveCounts
    outcomes: list[JobOutcome] = field(default_factory=list)
    _next_at: float = field(default_factory=time.monotonic)

    async def do(self) -> list[JobOutcome]:
        """Do it, with heartbeats, and return what became of each."""
        waiting = iter(self.runs)
        workers = [asyncio.create_task(self._take_from(waiting)) for _ in range(AT_ONCE)]
        try:
            while True:
                self._beat()
                _, pending = await asyncio.wait(workers, timeout=BEAT_S)
                if not pending:
                    break
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        for worker in workers:
            worker.result()
        return self.outcomes

    async def _take_from(self, waiting: Iterator[FailedRun]) -> None:
        redrive_id = activity.info().workflow_id or ""
        for run in waiting:
            await self._pace()
            self.outcomes.append(await self.jobs.go_on(run, redrive_id))

    async def _pace(self) -> None:
        """Wait for this job's turn."""
        if self.rate is None:
            return
        now = time.monotonic()
        turn = max(self._next_at, now)
        self._next_at = turn + 1 / self.rate
        await asyncio.sleep(turn - now)

    def counts(self) -> RedriveCounts:
        """Return the counts with this page's so far."""
        done = [outcome.outcome for outcome in self.outcomes]
        return RedriveCounts(
            total=self.before.total,
            redriven=self.before.redriven + done.count(Outcome.REDRIVEN),
            skipped=self.before.skipped + done.count(Outcome.SKIPPED),
            failed=self.before.failed + done.count(Outcome.FAILED),
        )

    def _beat(self) -> None:
        counts = self.counts()
        beat(
            RedriveProgress(
                step="page", done=counts.done, total=counts.total, unit="jobs", counts=counts
            )
        )

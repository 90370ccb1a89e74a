"""The steps of forgetting: closed jobs, old rows, results past their term."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from temporalio import activity

from activities.clock import ServerClock
from activities.progress import report
from jobs.base import JobKind, Retention
from jobs.files import StoredObject, job_of_folder
from jobs.kinds import KINDS
from jobs.pruning import LEDGERS_KEPT, ORPHANS_KEPT, Forgotten, Pruned, StoredResult
from jobs.traces import Erased

OUTCOMES: Final = ("completed", "failed")
JOBS_A_SECOND: Final = 40.0
"""So many are forgotten, so that the server has time for the living."""
ROWS_AT_ONCE: Final = 1000
RESULT_FOLDERS: Final = ("jobs", "reports")
WORK_FOLDER: Final = "work"
RESULT_TERMS: Final = {
    "redrive": Retention().results,
    **{kind.name: kind.retention.results for kind in KINDS.values()},
}
"""By the kind that a job id names; what lies in a folder of another name is not ours."""


class ClosedJobs(Protocol):
    """What these steps need of the server."""

    async def count(self, kind: JobKind[Any, Any], outcome: str, now: datetime) -> int:
        """Return how many runs of a kind ended so, and are past their retention."""
        ...

    def due(
        self, kind: JobKind[Any, Any], outcome: str, now: datetime
    ) -> AsyncIterator[tuple[str, str]]:
        """Yield job id and run id of each of them."""
        ...

    async def forget(self, job_id: str, run_id: str, traces: "Traces") -> Erased:
        """Delete a run, and if it is its job's newest also the job's traces, but no result."""
        ...

    async def knows(self, job_id: str) -> bool:
        """Tell whether the server still has a job, open or closed."""
        ...


class Traces(Protocol):
    """What these steps need of what jobs left behind."""

    async def find(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        """Return how much ``erase`` would delete now."""
        ...

    async def erase(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        """Delete what a job left behind, with ``results`` also what the user asked for."""
        ...


class Files(Protocol):
    """Where results lie."""

    def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield every object below ``prefix``."""
        ...


class Ledgers(Protocol):
    """Rows that jobs left behind."""

    async def count(self, before: datetime) -> int:
        """Return how many are older."""
        ...

    async def prune(self, before: datetime, at_most: int) -> int:
        """Delete some of them; 0 when none is left."""
        ...


@dataclass(frozen=True, slots=True)
class PruneActivities:
    """Forgetting, over the server, storage and the application database."""

    closed: ClosedJobs
    traces: Traces
    files: Files
    ledgers: Ledgers

    @activity.defn(name="prune.jobs")
    async def jobs(self) -> Pruned:
        """Forget closed jobs past their retention, at a bounded rate.

        Idempotent: traces go before the history that names them, and what is gone is not found.
        """
        now, pace = ServerClock().now(), _Pace(JOBS_A_SECOND)
        pruned = Pruned()
        done = 0
        for kind in KINDS.values():
            for outcome in OUTCOMES:
                count, erased = 0, Erased()
                async for job_id, run_id in self.closed.due(kind, outcome, now):
                    erased = erased.plus(await self.closed.forget(job_id, run_id, self.traces))
                    count, done = count + 1, done + 1
                    report(done, unit="jobs", message=kind.name)
                    await pace.keep()
                if count:
                    told = Forgotten(kind=kind.name, outcome=outcome, jobs=count)
                    pruned = pruned.plus(Pruned(jobs=(told,), traces=erased))
        return pruned

    @activity.defn(name="prune.rows")
    async def rows(self) -> Pruned:
        """Delete old rows of ledgers, some at a time. Idempotent: it goes on where it stopped."""
        before, gone = ServerClock().now() - LEDGERS_KEPT, 0
        while deleted := await self.ledgers.prune(before, ROWS_AT_ONCE):
            gone += deleted
            report(gone, unit="rows")
        return Pruned(rows=gone)

    @activity.defn(name="prune.results")
    async def results(self) -> Pruned:
        """Delete results past their term, and files of jobs that are gone; repeating it is safe."""
        now, pruned = ServerClock().now(), Pruned()
        async for result in self.old_results(now):
            kind = kind_of(result.job_id)
            erased = await self.traces.erase(kind, result.job_id, "", results=True)
            pruned = pruned.plus(Pruned(results=1, result_traces=erased))
            report(pruned.results, unit="jobs")
        async for orphan in self.orphans(now):
            erased = await self.traces.erase(kind_of(orphan), orphan, "", results=False)
            pruned = pruned.plus(Pruned(traces=erased))
            report(pruned.results, unit="jobs")
        return pruned

    async def preview(self, now: datetime) -> tuple[Pruned, Sequence[StoredResult]]:
        """Return what the steps would delete, and each result; for a dry run."""
        counted = [
            Forgotten(
                kind=kind.name, outcome=outcome, jobs=await self.closed.count(kind, outcome, now)
            )
            for kind in KINDS.values()
            for outcome in OUTCOMES
        ]
        results = [result async for result in self.old_results(now)]
        traces = Erased()
        for kind in KINDS.values():
            for outcome in OUTCOMES:
                async for job_id, run_id in self.closed.due(kind, outcome, now):
                    found = await self.traces.find(kind.name, job_id, run_id, results=False)
                    traces = traces.plus(found)
        async for orphan in self.orphans(now):
            traces = traces.plus(await self.traces.find(kind_of(orphan), orphan, "", results=False))
        total = Erased()
        for result in results:
            total = total.plus(result.erased)
        return (
            Pruned(
                jobs=tuple(told for told in counted if told.jobs),
                traces=traces,
                rows=await self.ledgers.count(now - LEDGERS_KEPT),
                results=len(results),
                result_traces=total,
            ),
            results,
        )

    async def old_results(self, now: datetime) -> AsyncIterator[StoredResult]:
        """Yield each job that is gone and whose newest result is past its term."""
        for top in RESULT_FOLDERS:
            for folder, newest in (await self._folders(top)).items():
                job_id = job_of_folder(folder)
                term = RESULT_TERMS.get(kind_of(job_id))
                if term is None or now - newest < term or await self.closed.knows(job_id):
                    continue
                found = await self.traces.find(kind_of(job_id), job_id, "", results=True)
                yield StoredResult(job_id=job_id, erased=found)

    async def orphans(self, now: datetime) -> AsyncIterator[str]:
        """Yield each job that is gone and has left files between steps."""
        for folder, newest in (await self._folders(WORK_FOLDER)).items():
            job_id = job_of_folder(folder)
            if now - newest >= ORPHANS_KEPT and not await self.closed.knows(job_id):
                yield job_id

    async def _folders(self, top: str) -> dict[str, datetime]:
        """Return when each job's newest file was written, by its folder."""
        newest: dict[str, datetime] = {}
        async for stored in self.files.list(top):
            folder = stored.key.removeprefix(f"{top}/").partition("/")[0]
            at = stored.modified_at or datetime.now(UTC)
            newest[folder] = max(at, newest.get(folder, at))
        return newest

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.jobs, self.rows, self.results)


def kind_of(job_id: str) -> str:
    """Return the kind that a job id names."""
    return job_id.partition("-")[0]


@dataclass(slots=True)
class _Pace:
    """Waits so that no more than so many happen a second."""

    a_second: float
    _next: float = field(default_factory=time.monotonic)

    async def keep(self) -> None:
        self._next = max(self._next + 1 / self.a_second, time.monotonic())
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))

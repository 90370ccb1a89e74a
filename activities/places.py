"""The step of who hands out places: which of the jobs that have one have ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from jobs.places import JobIds


class OpenJobs(Protocol):
    """What this step needs of the server."""

    async def is_open(self, job_id: str) -> bool:
        """Tell whether a job has not ended."""
        ...


@dataclass(frozen=True, slots=True)
class PlaceActivities:
    """Looking after places, over the server's jobs."""

    jobs: OpenJobs

    @activity.defn(name="places.ended")
    async def ended(self, asked: JobIds) -> JobIds:
        """Return those that have ended, or are not known. Idempotent: it only reads."""
        return JobIds(ids=tuple([one for one in asked.ids if not await self.jobs.is_open(one)]))

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.ended,)

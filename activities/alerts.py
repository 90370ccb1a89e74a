"""The steps of alerts: whom to tell, and whether the cause still holds a job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from jobs.holds import AlertRecipients, HeldCount, HoldCause


class HeldJobs(Protocol):
    """What these steps need to know of jobs."""

    async def count(self, error: str) -> int:
        """Return how many jobs are held by errors of that type."""
        ...


@dataclass(frozen=True, slots=True)
class AlertActivities:
    """Steps of alerts, over the jobs of one namespace and the configured addresses."""

    held: HeldJobs
    recipients: AlertRecipients

    @activity.defn(name="alerts.recipients")
    async def find_recipients(self) -> AlertRecipients:
        """Return whom to mail. Idempotent: it only reads."""
        return self.recipients

    @activity.defn(name="alerts.count_held")
    async def count_held(self, cause: HoldCause) -> HeldCount:
        """Return how many jobs the cause still holds. Idempotent: it only reads."""
        return HeldCount(count=await self.held.count(cause.error))

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.find_recipients, self.count_held)

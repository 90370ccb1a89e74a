"""The step that ends a queue's pause."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from jobs.limits import EndPause


class PauseKeeper(Protocol):
    """What this step needs of the server."""

    async def end_pause(self, ending: EndPause) -> bool:
        """Resume the queue, unless that pause is over; tell whether it was resumed."""
        ...


@dataclass(frozen=True, slots=True)
class QueueActivities:
    """Ending pauses, over the server's queues."""

    queues: PauseKeeper

    @activity.defn(name="queues.end_pause")
    async def end_pause(self, ending: EndPause) -> bool:
        """End the pause. Idempotent: a pause that is over, or was replaced, is left alone."""
        return await self.queues.end_pause(ending)

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.end_pause,)

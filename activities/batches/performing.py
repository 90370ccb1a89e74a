"""Does the items of one chunk side by side, each written down before the next begins.

An item's result is durable before its lane takes another, so a worker that is killed at any moment
repeats at most as many items as it has lanes.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.batches.needs import Ledger, Performer
from activities.errands import Errand
from jobs.base import Contract
from jobs.batches import BatchItem, BatchStalled, ItemState, brief
from jobs.errors import TransientError

STALLS_AFTER: Final = 10
"""So many items that fail for now, before any succeeds, mean that something they all need is away.
"""
LAST_WORDS_S: Final = 10.0
"""How long items that are being done may go on when the worker stops."""
MAX_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Task:
    """An item that is still to be done."""

    position: int
    offset: int
    job_id: str
    input: Contract


@dataclass(slots=True, kw_only=True)
class ChunkRunner:
    """Does the items of one chunk that have no outcome yet."""

    batch: str
    perform: Performer
    ledger: Ledger
    hold_on: frozenset[str]
    """Errors that concern every item: they end the chunk, and the batch is held."""
    at_once: int
    errand: Errand
    """Of the batch; each item's has the same moment."""
    done: int = 0
    for_now: int = 0
    put_off: list[BatchItem] = field(default_factory=list)
    """Items that did not succeed; jobs of their own show why, and may yet succeed."""
    stopping: bool = False
    failure: Exception | None = None

    async def run(self, tasks: Sequence[Task]) -> None:
        """Do all of them; return when each is in the ledger.

        Raises:
            BatchStalled: the first ones all failed for now; none was given up.
            JobError: one that concerns every item, or of the ledger.
        """
        if not tasks:
            return
        waiting = iter(tasks)
        lanes = [asyncio.create_task(self._lane(waiting)) for _ in range(self.at_once)]
        try:
            await asyncio.wait(lanes)
        except asyncio.CancelledError:
            self.stopping = True
            if not _asked_to_cancel():
                await asyncio.wait(lanes, timeout=LAST_WORDS_S)
            for lane in lanes:
                lane.cancel()
            await asyncio.wait(lanes)
            raise
        if self.failure is not None:
            raise self.failure
        await self.ledger.write_all(self.batch, self.put_off)

    async def _lane(self, waiting: Iterator[Task]) -> None:
        for task in waiting:
            try:
                await self._do(task)
            except Exception as error:  # noqa: BLE001 (handed on by ``run``, once the others end)
                self.failure = self.failure or error
                self.stopping = True
            if self.stopping:
                return

    async def _do(self, task: Task) -> None:
        errand = Errand(
            job_id=task.job_id,
            run_id=self.errand.run_id,
            attempt=self.errand.attempt,
            scheduled_at=self.errand.scheduled_at,
            now=self.errand.now,
        )
        try:
            result = await self.perform(task.input, errand)
        except Exception as error:  # noqa: BLE001 (one bad item hides no other)
            self._put_off(task, error)
            return
        await self.ledger.write(
            self.batch,
            BatchItem(
                position=task.position,
                state=ItemState.COMPLETED,
                result=brief(result.model_dump(mode="json")),
            ),
        )
        self.done += 1

    def _put_off(self, task: Task, error: Exception) -> None:
        kind, message = described(error)
        if kind in self.hold_on:
            raise error
        if isinstance(error, TransientError):
            self.for_now += 1
        if self.for_now >= STALLS_AFTER and not self.done:
            msg = f"the first {self.for_now} items of a chunk all failed for now: {kind}: {message}"
            raise BatchStalled(msg) from error
        self.put_off.append(
            BatchItem(
                position=task.position,
                state=ItemState.WAITING,
                offset=task.offset,
                job_id=task.job_id,
                error_type=kind,
                error_message=message,
            )
        )


def described(error: Exception) -> tuple[str, str]:
    """Return type and message of an item's error; an unexpected one's message may hold anything."""
    if isinstance(error, ApplicationError):
        return error.type or "Error", error.message[:MAX_MESSAGE]
    activity.logger.error("an item failed unexpectedly", exc_info=error)
    return type(error).__name__, ""


def _asked_to_cancel() -> bool:
    details: Any = activity.cancellation_details()
    return details is not None and details.cancel_requested

"""Looking at the items of a batch; for both doors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from temporalio.client import Client

from jobs.batches import BatchItem, BatchRecord, ItemState, ItemView
from jobs.client import reading
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError, Problem
from jobs.status import derive_state

MAX_PAGE: Final = 1000


class Ledger(Protocol):
    """The ledger of batches, for reading."""

    async def find(self, key: str) -> BatchRecord | None:
        """Return what is known of the batch that is a job's."""
        ...

    async def items(
        self,
        batch: str,
        *,
        positions: Sequence[int] | None = None,
        states: Sequence[ItemState] = (),
        after: int = -1,
        limit: int | None = None,
    ) -> Sequence[BatchItem]:
        """Return rows in the order of the list."""
        ...


@dataclass(frozen=True, slots=True)
class BatchDesk:
    """Tells how the items of batches stand, also while no worker lives."""

    temporal: Client
    ledger: Ledger
    owner: str | None = None
    """Limits the desk to this owner's batches."""

    async def item(self, job_id: str, index: int) -> ItemView:
        """Return one item, by its place in the list, from 0.

        Raises:
            InvalidInputError: the list has no such place.
            JobNotFoundError, ConflictError: as ``items``.
        """
        record = await self._record(job_id)
        total = record.total or 0
        if not 0 <= index < total:
            fix = f"use 0 to {total - 1:,}" if total else "the list is still being read"
            raise InvalidInputError([Problem("index", f"{index}: {fix}")])
        rows = await self.ledger.items(record.batch, positions=[index])
        if rows:
            return ItemView.of(rows[0])
        state = ItemState.CANCELLED if await self._ended(job_id) else ItemState.WAITING
        return ItemView(index=index, state=state)

    async def items(
        self,
        job_id: str,
        *,
        states: Sequence[ItemState] = (),
        after: int = -1,
        limit: int = 50,
    ) -> Sequence[ItemView]:
        """Return items that have begun, in the order of the list.

        Args:
            job_id: The batch.
            states: Only those in one of these.
            after: Only those behind this place.
            limit: So many at most, up to 1,000.

        Raises:
            JobNotFoundError: there is no such job.
            ConflictError: it is no batch, or its list is not yet read.
            InvalidInputError: the limit is out of bounds.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInputError([Problem("limit", f"{limit}: use 1 to {MAX_PAGE:,}")])
        record = await self._record(job_id)
        rows = await self.ledger.items(record.batch, states=states, after=after, limit=limit)
        return [ItemView.of(row) for row in rows]

    async def _record(self, job_id: str) -> BatchRecord:
        await reading.describe(self.temporal, job_id, owner=self.owner)
        record = await self.ledger.find(job_id)
        if record is None:
            msg = f"job {job_id!r} has no items: it is no batch, or has not begun"
            raise ConflictError(msg)
        return record

    async def _ended(self, job_id: str) -> bool:
        return derive_state(await reading.describe(self.temporal, job_id, owner=self.owner)).final


async def check_retried(temporal: Client, data: Mapping[str, Any], owner: str) -> None:
    """Refuse to do another owner's items again.

    Raises:
        InvalidInputError: the batch that the input names is not the owner's, or gone.
    """
    batch_id = data.get("retry_of")
    if not isinstance(batch_id, str):
        return
    try:
        await reading.describe(temporal, batch_id, owner=owner)
    except JobNotFoundError:
        problem = Problem("retry_of", "no such batch among yours")
        raise InvalidInputError([problem]) from None

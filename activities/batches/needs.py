"""What the steps of batch jobs need from outside."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from activities.errands import Errand
from jobs.base import Contract
from jobs.batches import BatchItem, BatchRecord, ItemState
from jobs.files import StoredObject
from jobs.status import JobStatus


class Performer(Protocol):
    """Does the one step of a kind for an item, idempotent by the errand's job id."""

    async def __call__(self, job: Any, errand: Errand, /) -> Contract:
        """Return the result of ``job``, an input of the kind."""
        ...


class Ledger(Protocol):
    """The ledger of all batches."""

    async def open(self, key: str, kind: str, fingerprint: str, run_id: str) -> str:
        """Return the name under which a batch's items stand in the ledger."""
        ...

    async def describe(self, batch: str, source: str, total: int) -> None:
        """Record what a batch's list is."""
        ...

    async def finish(self, batch: str, run_id: str) -> None:
        """Close a batch."""
        ...

    async def find(self, key: str) -> BatchRecord | None:
        """Return what is known of the batch that is a job's."""
        ...

    async def write(self, batch: str, item: BatchItem) -> None:
        """Write an item's row durably."""
        ...

    async def write_all(self, batch: str, items: Sequence[BatchItem]) -> None:
        """Write the rows of many items."""
        ...

    async def settle(self, batch: str, items: Sequence[BatchItem]) -> None:
        """Record what came of items that were jobs."""
        ...

    async def give_up(self, batch: str) -> None:
        """Call what has no outcome cancelled."""
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

    async def stretch(self, batch: str, position: int, count: int) -> Mapping[int, BatchItem]:
        """Return the rows of a stretch of the list, by position."""
        ...

    async def counts(self, batch: str) -> Mapping[ItemState, int]:
        """Return how many items stand where, of those that have a row."""
        ...


class Writer(Protocol):
    """An object that is being written."""

    async def write(self, data: bytes) -> None:
        """Append."""
        ...

    @property
    def stored(self) -> StoredObject:
        """What has been written."""
        ...


class Files(Protocol):
    """Where lists and outcomes lie."""

    async def put(self, key: str, data: bytes, *, create: bool = False) -> StoredObject:
        """Write a whole object."""
        ...

    def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield an object's bytes from ``start`` on; raises ``ObjectNotFound``."""
        ...

    async def piece(self, key: str, start: int, length: int) -> bytes:
        """Return a part of an object, shorter at its end; raises ``ObjectNotFound``."""
        ...

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of an object, or None."""
        ...

    def writer(self, key: str) -> AbstractAsyncContextManager[Writer]:
        """Write an object piece by piece; nothing is there if the body raises."""
        ...


class Jobs(Protocol):
    """What is known of other jobs."""

    def of(self, owner: str | None) -> "Jobs":
        """Return what one owner may see."""
        ...

    async def may_read(self, key: str) -> bool:
        """Tell whether a file in storage is the owner's."""
        ...

    async def wait(self, job_id: str) -> JobStatus:
        """Return a job when it has ended."""
        ...

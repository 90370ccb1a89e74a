"""What the steps of a batch pass to each other."""

from datetime import datetime

from pydantic import ConfigDict, Field, JsonValue, ValidationInfo, field_validator
from typing_extensions import override

from jobs.base import Contract
from jobs.batches.contract import Batch
from jobs.batches.items import ItemState
from jobs.status import Tally


class Plan(Contract):
    """A list of items, ready to be worked through."""

    batch: str
    """Name of the batch in the ledger."""
    kind: str
    source: str
    """Key of the stored list."""
    total: int
    in_chunks: bool
    """Whether the kind's work is one step, which chunks can do."""
    offsets: list[int] = Field(default_factory=list)
    """Where each chunk begins in the stored list, in bytes."""
    size: int
    """Bytes of the stored list."""
    chunk: int
    """Items of a chunk."""
    stem: str
    """Ids of items are ``<stem>-<index>``."""
    completed: int = 0
    """In an earlier run of this batch."""
    failed: int = 0
    """Lines that are no input."""


class Carried(Contract):
    """How far a batch is; it takes this along when it continues as new."""

    model_config = ConfigDict(frozen=False)  # its workflow counts in it

    plan: Plan
    next_chunk: int = 0
    after: int = -1
    """Position of the last item that became a job of its own."""
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    left: int = 0
    """Items that their chunks left to jobs of their own."""
    began_at: datetime
    began_done: int = 0

    @property
    def done(self) -> int:
        """Items that have an outcome."""
        return self.completed + self.failed + self.cancelled

    def tally(self, now: datetime) -> Tally:
        """Return what the status tells."""
        return Tally(
            done=self.done,
            total=self.plan.total,
            message=f"{self.failed:,} failed" if self.failed else "",
            began_done=self.began_done,
            began_at=self.began_at,
            at=now,
        )


class BatchJob(Batch):
    """A batch as its workflow takes it: what was submitted, or a later run of the same job."""

    carried: Carried | None = None

    @field_validator("items")
    @classmethod
    @override
    def _each_fits_its_kind(
        cls, items: list[dict[str, JsonValue]] | None, info: ValidationInfo
    ) -> list[dict[str, JsonValue]] | None:
        return items  # they were checked at the door; each workflow task would do it again


class Preparation(Contract):
    """A batch, and whose it is."""

    batch: BatchJob
    owner: str | None = None


class Chunk(Contract):
    """One stretch of the list."""

    batch: str
    kind: str
    source: str
    stem: str
    offset: int
    length: int
    """Bytes of the stretch."""
    position: int
    """Of its first item, from 0."""
    count: int
    at_once: int
    """Items side by side."""
    hand_over: bool = False
    """Do nothing; leave what has no outcome to jobs of its own."""


class ChunkResult(Contract):
    """What came of a chunk."""

    completed: int
    left: int = 0
    """Items that become jobs of their own."""


class Reading(Contract):
    """Which items are wanted next."""

    batch: str
    source: str
    after: int
    """Position of the last one that was read; -1 at the beginning."""


class JobItem(Contract):
    """An item that becomes a job of its own."""

    position: int
    job_id: str
    input: dict[str, JsonValue]


class Page(Contract):
    """Some items; none at the end."""

    items: list[JobItem]


class Recorded(Contract):
    """What came of an item that was a job of its own."""

    position: int
    state: ItemState
    error_type: str = ""
    error_message: str = ""
    result: dict[str, JsonValue] = Field(default_factory=dict)


class Outcomes(Contract):
    """Outcomes to be written down."""

    batch: str
    items: list[Recorded]


class Following(Contract):
    """An item whose job was there already."""

    position: int
    job_id: str


class Closing(Contract):
    """A batch that ends."""

    batch: str
    total: int
    complete: bool
    """Whether every item has an outcome; a batch that was cancelled can still go on."""

"""One item of a batch: where it stands, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from jobs.base import Contract

MAX_TEXT: Final = 200
MAX_FIELDS: Final = 20


class ItemState(StrEnum):
    """Where an item stands."""

    WAITING = "waiting"
    """Not begun, or about to become a job of its own."""
    RUNNING = "running"
    """It is a job of its own, ``job_id``."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One item in the ledger."""

    position: int
    """Its place in the list, from 0."""
    state: ItemState
    offset: int | None = None
    """Where its line begins in the stored list, in bytes; of items that become jobs."""
    job_id: str | None = None
    """Of the job that it became."""
    error_type: str = ""
    error_message: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """One batch in the ledger."""

    batch: str
    """Its name there."""
    kind: str
    source: str | None
    """Key of its stored list; none before it is read."""
    total: int | None
    finished: bool


class ItemView(Contract):
    """An item as people see it: a line of the outcomes, an answer of ``starter.py items``."""

    index: int
    """Its place in the list, from 0."""
    state: ItemState
    job_id: str | None = None
    """The job of its own, if it became one."""
    error_type: str | None = None
    error_message: str | None = None
    result: dict[str, Any] | None = None
    """The result's plain fields."""

    @classmethod
    def of(cls, item: BatchItem) -> "ItemView":
        """Return what the ledger tells."""
        return cls(
            index=item.position,
            state=item.state,
            job_id=item.job_id,
            error_type=item.error_type or None,
            error_message=item.error_message or None,
            result=dict(item.result) or None,
        )


def brief(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain fields of a job's result: small, whatever it holds."""
    plain: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, str):
            plain[name] = value[:MAX_TEXT]
        elif isinstance(value, bool | int | float):
            plain[name] = value
        if len(plain) == MAX_FIELDS:
            break
    return plain

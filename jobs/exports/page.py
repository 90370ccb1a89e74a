"""What passes between the parts of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows as columns of stored values, by name."""

    columns: Mapping[str, Sequence[Any]]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows that follow one another by key."""

    after: str | None = None
    """Key before the first; None from the beginning."""
    last: str | None = None
    """Key of the last; None to the end."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished part of an export that can be resumed."""

    number: int
    key: str
    """Of the part in storage."""
    rows: int
    bytes: int
    sha256: str
    attempt: int
    """Each attempt has a snapshot of its own."""
    last: str
    """Key of its last row."""

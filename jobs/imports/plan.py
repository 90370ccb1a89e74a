"""What passes between the steps of an import and the parts of one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.base import Contract
from jobs.imports.contract import ImportData, ImportFormat


class Layout(Contract):
    """How a file is to be read; found out once, then the same for every attempt."""

    format: ImportFormat
    encoding: str
    """Of the file as it is stored."""
    delimiter: str
    """Of the file once it is UTF-8 text; empty for JSON lines."""
    headers: tuple[str, ...]
    """The file's columns as written; for JSON lines the names that may occur."""
    columns: tuple[str | None, ...]
    """Field of the target for each header; None where the column is passed over."""
    body: int
    """Byte of the UTF-8 text at which the first row begins."""
    first_line: int
    """Line of the first row."""
    size: int
    """Bytes of the UTF-8 text."""
    rows: int
    """Rows as counted by line ends; line ends in unusual quotes may be counted too."""
    typed: bool = False
    """The file has typed values, which the UTF-8 text spells in one way whatever the job says."""
    guarded: bool = False
    """Cells may have a ``'`` before a leading formula sign, to be taken off."""


class ImportPlan(Contract):
    """An import that can be carried out, and resumed by any worker."""

    job: ImportData
    source_sha256: str
    source_bytes: int
    layout: Layout


class ImportPosition(Contract):
    """How far an import is, by its ledger."""

    import_id: str
    chunk: int = 0
    """Number of the next chunk."""
    byte: int = 0
    """Where the next chunk begins in the UTF-8 text."""
    line: int = 1
    """Line at which the next chunk begins."""
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One row that is not taken."""

    row: int
    """Number of the row, from 1, the header not counted."""
    line: int
    """Line of the file at which it begins, from 1."""
    columns: str
    """The columns at fault, by ``; `` apart; empty when it is the row as a whole."""
    value: str
    """The beginning of the value at fault."""
    reason: str
    original: Sequence[str]
    """Its cells, as read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows of a file, checked."""

    number: int
    next_byte: int
    next_line: int
    rows: int
    """Rows read, good and bad."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Values of the good rows by column of the table."""
    rejects: Sequence[Reject] = ()

    @property
    def good(self) -> int:
        """Rows to write."""
        return self.rows - len(self.rejects)


class MeterStopped(Exception):
    """The step is over; the thread that works for it must end."""


@dataclass(slots=True)
class Meter:
    """Counts work done in a thread, for the event loop to report, and stops it."""

    done: int = 0
    stopped: bool = False

    def advance(self, amount: int) -> None:
        """Count ``amount`` more; raises ``MeterStopped`` when the step is over."""
        if self.stopped:
            raise MeterStopped
        self.done += amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What writing a chunk changed in the table."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

"""What the steps of the import job need from outside."""

from collections.abc import AsyncIterator, Generator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from jobs.files import StoredObject
from jobs.imports import (
    Chunk,
    ImportData,
    ImportPlan,
    ImportPosition,
    Layout,
    Meter,
    Reject,
    Written,
)


class Objects(Protocol):
    """What these steps need from storage."""

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of an object, None if there is none."""
        ...

    def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the content of an object; raises ``ObjectNotFound``."""
        ...

    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        """Store a file; with ``create`` one of the same size counts as done."""
        ...


class RejectsSink(Protocol):
    """A rejects file being written."""

    def write(self, rejects: Sequence[Reject]) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """End the file."""
        ...


class Sources(Protocol):
    """Reads files to import; its methods block."""

    def inspect(self, path: Path, job: ImportData, scratch: Path, meter: Meter) -> Layout:
        """Return how to read a file, or raise what is wrong with it."""
        ...

    def text(self, path: Path, plan: ImportPlan, scratch: Path, meter: Meter) -> Path:
        """Return the file as UTF-8 text."""
        ...

    def chunks(self, text: Path, plan: ImportPlan, position: ImportPosition) -> Generator[Chunk]:
        """Yield its checked chunks from a position on."""
        ...

    def rejects_file(self, path: Path, plan: ImportPlan) -> RejectsSink:
        """Begin a rejects file."""
        ...


class Ledger(Protocol):
    """Where it is written down how far an import is, in one transaction with its rows."""

    async def begin(
        self, *, job_id: str, run_id: str, fingerprint: str, at: datetime
    ) -> ImportPosition:
        """Return where to go on: an unfinished import of the same, or a new one."""
        ...

    async def position(self, job_id: str) -> ImportPosition | None:
        """Return how far the job's import is."""
        ...

    async def write(
        self,
        import_id: str,
        target: str,
        chunk: Chunk,
        *,
        dry_run: bool = False,
        likely_new: bool = False,
    ) -> Written:
        """Write a chunk once; raises ``ImportSuperseded`` if another attempt has."""
        ...

    def rejects(self, import_id: str) -> AsyncIterator[Sequence[Reject]]:
        """Yield the rejects in order, page by page."""
        ...

    async def finish(self, import_id: str) -> None:
        """End the import."""
        ...

"""Steps of the export job: write the rows of a query into a file and publish it, then tidy up."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from temporalio import activity

from activities import progress
from activities.progress import BEAT_INTERVAL_S, beating_with
from activities.working import job_folder
from jobs.exports import (
    CONTENT_TYPES,
    EXTENSIONS,
    PACKED_TYPES,
    Compression,
    Consistency,
    ExportData,
    ExportFile,
    ExportFormat,
    ExportResult,
    ExportSuperseded,
    Page,
    Part,
    Stretch,
)
from jobs.files import StoredObject

PART_ROWS: Final = 100_000
"""Rows that are read at once, and that one part of a resumable export has."""
KEY_HASH: Final = 16
"""Characters of a file's SHA-256 in its key."""


class Objects(Protocol):
    """What this step needs from storage."""

    def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the content of an object."""
        ...

    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        """Store a file; with ``create`` one of the same size counts as done."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below a prefix."""
        ...


class Snapshot(Protocol):
    """The rows of an export at one moment."""

    @property
    def writes_csv(self) -> bool:
        """Whether the database writes CSV itself."""
        ...

    async def count(self, after: str | None = None) -> int:
        """Return how many rows there are after a key."""
        ...

    async def stretch(self, after: str | None, rows: int) -> Stretch | None:
        """Return the next rows after a key."""
        ...

    def pages(self, stretch: Stretch) -> AsyncIterator[Page]:
        """Yield the rows of a stretch."""
        ...

    def csv(self, stretch: Stretch, *, guard: bool) -> AsyncIterator[bytes]:
        """Yield the rows of a stretch as lines of CSV."""
        ...


class Rows(Protocol):
    """Where the rows come from, and where finished parts are written down."""

    def snapshot(self, job: ExportData) -> AbstractAsyncContextManager[Snapshot]:
        """Open the rows as they are at this moment."""
        ...

    async def parts(self, export_id: str) -> Sequence[Part]:
        """Return the finished parts, in order."""
        ...

    async def add_part(self, export_id: str, part: Part) -> bool:
        """Write down a finished part; False if another attempt has."""
        ...

    async def forget(self, export_id: str) -> None:
        """Delete what is written down about an export."""
        ...


class Writer(Protocol):
    """A file being written; its methods block."""

    def write(self, data: Page | bytes) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """End the file."""
        ...


class OpenWriter(Protocol):
    """Begins files."""

    def __call__(self, path: Path, job: ExportData, *, header: bool = True) -> Writer:
        """Begin the file of ``job`` at ``path``."""
        ...


@dataclass(frozen=True, slots=True)
class ExportActivities:
    """The step of the export job, over open storage and an open database."""

    objects: Objects
    rows: Rows
    open_writer: OpenWriter
    part_rows: int = PART_ROWS

    @activity.defn(name="exports.write")
    async def write(self, job: ExportData) -> ExportResult:
        """Write the file, publish it under a key with its hash, and return where it is.

        Idempotent: nothing is under the key until the file is whole, the same rows give the same
        file, and a part is written down once whatever the number of attempts.
        """
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            path = Path(folder) / "file"
            if job.resume:
                rows, consistency = await self._write_parts(job, path)
            else:
                rows, consistency = await self._write_whole(job, path), Consistency.SNAPSHOT
            file = await self._publish(job, path)
        return ExportResult(file=file, rows=rows, consistency=consistency)

    @activity.defn(name="exports.tidy")
    async def tidy(self, job: ExportData) -> None:
        """Delete the parts of a resumable export that is published.

        Idempotent: what is gone already is no error. A step of its own, so that the step before it
        can be repeated.
        """
        with beating_with(lambda: progress.report(0, message="deleting parts"), BEAT_INTERVAL_S):
            await self.objects.delete_prefix(f"{_parts_prefix()}/")
            await self.rows.forget(str(activity.info().workflow_run_id))

    async def _write_whole(self, job: ExportData, path: Path) -> int:
        async with self.rows.snapshot(job) as snapshot:
            everything = Stretch(rows=await snapshot.count())
            writer = await asyncio.to_thread(self.open_writer, path, job)
            try:
                report = partial(_report, before=0, total=everything.rows)
                await _copy(snapshot, everything, writer, job, report)
            finally:
                await asyncio.to_thread(writer.close)
        return everything.rows

    async def _write_parts(self, job: ExportData, path: Path) -> tuple[int, Consistency]:
        """Add the parts that are missing, put all together and return the number of rows."""
        info = activity.info()
        export_id = str(info.workflow_run_id)
        parts = [*await self.rows.parts(export_id)]
        async with self.rows.snapshot(job) as snapshot:
            after = parts[-1].last if parts else None
            rows = sum(part.rows for part in parts)
            total = rows + await snapshot.count(after)
            while stretch := await snapshot.stretch(after, self.part_rows):
                writer = await asyncio.to_thread(self.open_writer, path, job, header=not parts)
                try:
                    report = partial(_report, before=rows, total=total)
                    await _copy(snapshot, stretch, writer, job, report)
                finally:
                    await asyncio.to_thread(writer.close)
                part = await self._store_part(path, len(parts), stretch)
                if not await self.rows.add_part(export_id, part):
                    msg = f"another attempt has written part {part.number}"
                    raise ExportSuperseded(msg)
                parts.append(part)
                after, rows = part.last, rows + part.rows
        await self._join(parts, path, job, rows)
        one_moment = len({part.attempt for part in parts}) <= 1
        return rows, Consistency.SNAPSHOT if one_moment else Consistency.PARTS

    async def _store_part(self, path: Path, number: int, stretch: Stretch) -> Part:
        sha256 = await asyncio.to_thread(_hash, path)
        key = f"{_parts_prefix()}/{number:06d}-{sha256[:KEY_HASH]}"
        stored = await self.objects.put_file(key, path, create=True)
        return Part(
            number=number,
            key=key,
            rows=stretch.rows,
            bytes=stored.size,
            sha256=sha256,
            attempt=activity.info().attempt,
            last=str(stretch.last),
        )

    async def _join(self, parts: Sequence[Part], path: Path, job: ExportData, rows: int) -> None:
        """Put the parts together: lines follow lines, and packed parts follow packed parts."""
        if not parts:
            writer = await asyncio.to_thread(self.open_writer, path, job)
            await asyncio.to_thread(writer.close)
            return
        with path.open("wb") as file:
            for part in parts:
                async for piece in self.objects.stream(part.key):
                    await asyncio.to_thread(file.write, piece)
                    progress.report(rows, rows, "rows", f"joining {len(parts)} parts")

    async def _publish(self, job: ExportData, path: Path) -> ExportFile:
        sha256 = await asyncio.to_thread(_hash, path)
        ending = f".{job.format}{EXTENSIONS[job.compression]}"
        key = f"jobs/{job_folder()}/{job.query}-{sha256[:KEY_HASH]}{ending}"
        stored = await self.objects.put_file(key, path, create=True)
        packed = job.compression is not Compression.NONE
        return ExportFile(
            key=key,
            name=f"{job.query}{ending}",
            content_type=(PACKED_TYPES[job.compression] if packed else CONTENT_TYPES[job.format]),
            bytes=stored.size,
            sha256=sha256,
        )

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.write, self.tidy)


async def _copy(
    snapshot: Snapshot,
    stretch: Stretch,
    writer: Writer,
    job: ExportData,
    report: Callable[[int], None],
) -> None:
    """Write the rows of a stretch, reading the next piece while one is written in a thread."""
    by_database = job.format is ExportFormat.CSV and snapshot.writes_csv
    source: AsyncIterator[Page | bytes] = (
        snapshot.csv(stretch, guard=job.formula_guard) if by_database else snapshot.pages(stretch)
    )
    rows = 0
    writing: asyncio.Task[None] | None = None
    try:
        async with aclosing(source) as pieces:  # type: ignore[type-var]  # both are generators
            async for piece in pieces:
                if writing is not None:
                    await asyncio.shield(writing)
                    report(min(rows, stretch.rows))
                # A line end within a cell counts too: good enough for progress.
                rows += piece.count(b"\n") if isinstance(piece, bytes) else piece.rows
                writing = asyncio.create_task(asyncio.to_thread(writer.write, piece))
    finally:
        if writing is not None:
            await asyncio.wait({writing})
            writing.exception()  # seen, if nobody comes to await it
    if writing is not None:
        await writing
    report(stretch.rows)


def _parts_prefix() -> str:
    return f"jobs/{job_folder()}/parts/{activity.info().workflow_run_id}"


def _report(rows: int, *, before: int, total: int) -> None:
    progress.report(before + rows, total, "rows")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

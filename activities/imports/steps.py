"""Steps of the import job, over a stored file and the ledger of its rows."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from temporalio import activity

from activities import progress
from activities.imports.needs import Ledger, Objects, Sources
from activities.working import in_thread, job_folder
from jobs.files import ObjectNotFound, ObjectTooLarge
from jobs.imports import (
    Chunk,
    ImportData,
    ImportPlan,
    ImportPosition,
    ImportResult,
    ImportRowRejected,
    ImportSourceChanged,
    ImportTooManyRejects,
    Meter,
    OnError,
    RejectsFile,
)
from jobs.validation import fingerprint

MAX_SOURCE_BYTES: Final = 5 * 1024**3
SAMPLE_ROWS: Final = 100
"""With so many rows in the first chunk, the share of bad ones says whether this is the file."""
HOPELESS: Final = 0.9
KEY_HASH: Final = 16
"""Characters of a file's SHA-256 in its key."""


@dataclass(frozen=True, slots=True)
class ImportActivities:
    """Steps of the import job, over open storage and an open database."""

    objects: Objects
    sources: Sources
    ledger: Ledger

    @activity.defn(name="imports.inspect")
    async def inspect(self, job: ImportData) -> ImportPlan:
        """Read the whole file once and return how to load it, or raise what is wrong with it.

        Idempotent: it only reads.
        """
        with tempfile.TemporaryDirectory(prefix="import-") as folder:
            scratch, meter = Path(folder), Meter()
            path = scratch / "source"
            size, sha256 = await self._fetch(job.source, path, _report_bytes)
            layout = await in_thread(
                lambda: self.sources.inspect(path, job, scratch, meter),
                meter,
                lambda done: progress.report(min(done, size), size, "bytes", "inspecting"),
            )
        return ImportPlan(job=job, source_sha256=sha256, source_bytes=size, layout=layout)

    @activity.defn(name="imports.load")
    async def load(self, plan: ImportPlan) -> ImportPosition:
        """Write the rows, from where the ledger ends, and return the ledger's new end.

        Idempotent by the ledger: a chunk and its row there are one transaction, so each chunk is
        written once whatever the number of attempts, and whether or not an older one still runs.
        """
        info = activity.info()
        position = await self.ledger.begin(
            job_id=str(info.workflow_id),
            run_id=str(info.workflow_run_id),
            fingerprint=fingerprint(plan),
            at=info.scheduled_time,
        )
        await self._check_rejects(plan, position)
        report = _RowReport(plan)
        report(position, "fetching")
        with tempfile.TemporaryDirectory(prefix="import-") as folder:
            scratch, meter = Path(folder), Meter()
            path = scratch / "source"
            _, sha256 = await self._fetch(
                plan.job.source, path, lambda _done, _size: report(position, "fetching")
            )
            if sha256 != plan.source_sha256:
                msg = "the file is another than when the import began: submit it anew"
                raise ImportSourceChanged(msg)
            text = await in_thread(
                lambda: self.sources.text(path, plan, scratch, meter),
                meter,
                lambda _: report(position, "decoding"),
            )
            chunks = self.sources.chunks(text, plan, position)
            async with aclosing(_one_ahead(chunks)) as ahead:
                async for chunk in ahead:
                    position = await self._write(plan, position, chunk)
                    report(position)
        return position

    @activity.defn(name="imports.position")
    async def position(self, plan: ImportPlan) -> ImportPosition:
        """Return how far the import is. Idempotent: it only reads."""
        job_id = str(activity.info().workflow_id)
        return await self.ledger.position(job_id) or ImportPosition(import_id="")

    @activity.defn(name="imports.finish")
    async def finish(self, plan: ImportPlan) -> ImportResult:
        """Write the rejects file, end the import and return what it did.

        Idempotent: the file's key has its content, and ending twice changes nothing.
        """
        position = await self.position(plan)
        rejects = await self._store_rejects(plan, position)
        await self.ledger.finish(position.import_id)
        return ImportResult(
            read=position.read,
            inserted=position.inserted,
            updated=position.updated,
            unchanged=position.unchanged,
            rejected=position.rejected,
            rejects=rejects,
            dry_run=plan.job.dry_run,
            source_sha256=plan.source_sha256,
        )

    async def _write(
        self, plan: ImportPlan, position: ImportPosition, chunk: Chunk
    ) -> ImportPosition:
        """Write ``chunk`` if the job's rules on bad rows allow, and return the new position."""
        _check_chunk(plan, position, chunk)
        written = await self.ledger.write(
            position.import_id,
            plan.job.target,
            chunk,
            dry_run=plan.job.dry_run,
            likely_new=position.inserted == position.read - position.rejected,
        )
        position = ImportPosition(
            import_id=position.import_id,
            chunk=chunk.number + 1,
            byte=chunk.next_byte,
            line=chunk.next_line,
            read=position.read + chunk.rows,
            inserted=position.inserted + written.inserted,
            updated=position.updated + written.updated,
            unchanged=position.unchanged + written.unchanged,
            rejected=position.rejected + len(chunk.rejects),
        )
        await self._check_rejects(plan, position)
        return position

    async def _check_rejects(self, plan: ImportPlan, position: ImportPosition) -> None:
        if position.rejected <= plan.job.max_errors:
            return
        rejects = await self._store_rejects(plan, position)
        msg = (
            f"{position.rejected:,} of the first {position.read:,} rows are bad, max_errors allows "
            f"{plan.job.max_errors:,}; they are listed in {rejects and rejects.key}"
        )
        raise ImportTooManyRejects(msg, position.model_dump(mode="json"))

    async def _store_rejects(
        self, plan: ImportPlan, position: ImportPosition
    ) -> RejectsFile | None:
        if not position.rejected:
            return None
        name = f"{Path(plan.job.source).stem}-rejects"
        with tempfile.TemporaryDirectory(prefix="import-") as folder:
            path = Path(folder) / "rejects.csv"
            file = await asyncio.to_thread(self.sources.rejects_file, path, plan)
            rows = 0
            try:
                async for page in self.ledger.rejects(position.import_id):
                    await asyncio.to_thread(file.write, page)
                    rows += len(page)
                    progress.report(rows, position.rejected, "rows", "writing the rejects file")
            finally:
                await asyncio.to_thread(file.close)
            sha256 = await asyncio.to_thread(_hash, path)
            key = f"jobs/{job_folder()}/{name}-{sha256[:KEY_HASH]}.csv"
            stored = await self.objects.put_file(key, path, create=True)
        return RejectsFile(key=key, name=f"{name}.csv", bytes=stored.size, sha256=sha256, rows=rows)

    async def _fetch(
        self, key: str, path: Path, beat: Callable[[int, int], None]
    ) -> tuple[int, str]:
        """Copy an object to ``path``; returns its size and SHA-256."""
        found = await self.objects.stat(key)
        if found is None:
            raise ObjectNotFound(f"nothing is stored under {key!r}: upload the file first")
        if found.size > MAX_SOURCE_BYTES:
            msg = f"the file has {found.size:,} bytes, {MAX_SOURCE_BYTES:,} are allowed: split it"
            raise ObjectTooLarge(msg)
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            async for piece in self.objects.stream(key):
                size += len(piece)
                if size > MAX_SOURCE_BYTES:
                    raise ObjectTooLarge(f"the file has more than {MAX_SOURCE_BYTES:,} bytes")
                await asyncio.to_thread(_keep, file, digest, piece)
                beat(size, found.size)
        return size, digest.hexdigest()

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.inspect, self.load, self.position, self.finish)


@dataclass(frozen=True, slots=True)
class _RowReport:
    """Reports rows done of rows to do."""

    plan: ImportPlan

    def __call__(self, position: ImportPosition, doing: str = "") -> None:
        rejected = f"{position.rejected:,} rejected" if position.rejected else ""
        total = max(self.plan.layout.rows, position.read)
        progress.report(position.read, total, "rows", doing or rejected)


def _report_bytes(done: int, size: int) -> None:
    progress.report(done, size, "bytes", "fetching")


def _check_chunk(plan: ImportPlan, position: ImportPosition, chunk: Chunk) -> None:
    """Refuse a chunk that the job doesn't want to be written."""
    if not chunk.rejects:
        return
    first = chunk.rejects[0]
    shown = f"row {first.row:,} (line {first.line:,}): {first.reason}"
    if plan.job.on_error is OnError.STOP:
        msg = f"{shown}. {position.read:,} rows before it were written, its chunk was not"
        raise ImportRowRejected(msg, position.model_dump(mode="json"))
    if chunk.number == 0 and chunk.rows >= SAMPLE_ROWS:
        bad = len(chunk.rejects) / chunk.rows
        if bad >= HOPELESS:
            msg = (
                f"{len(chunk.rejects):,} of the first {chunk.rows:,} rows are bad, so nothing was "
                f"written: is it the right file, target and notation? First: {shown}"
            )
            raise ImportTooManyRejects(msg)


async def _one_ahead(chunks: Generator[Chunk]) -> AsyncGenerator[Chunk]:
    """Yield chunks, the next always being made in a thread while one is used."""
    upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
    try:
        while (chunk := await asyncio.shield(upcoming)) is not None:
            upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
            yield chunk
    finally:
        await asyncio.wait({upcoming})
        upcoming.exception()  # seen, if nobody has come to await it
        chunks.close()


def _keep(file: BinaryIO, digest: "hashlib._Hash", piece: bytes) -> None:
    file.write(piece)
    digest.update(piece)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Reads a list before any of it is done: its length, its chunks, and what in it is no input."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from temporalio import activity

from activities.batches import lists
from activities.batches.needs import Files, Jobs, Ledger, Performer
from activities.progress import report
from activities.working import job_folder
from jobs import validation
from jobs.access import stored_files
from jobs.base import JobKind
from jobs.batches import (
    MAX_ITEMS,
    Batch,
    BatchEmpty,
    BatchItem,
    BatchTooLong,
    BatchUnknown,
    ItemState,
    Plan,
    Preparation,
    kind_of_items,
    read_item,
)
from jobs.errors import InvalidInputError, Problem

ROWS_AT_ONCE: Final = 1000
INVALID: Final = "ItemInvalid"
"""Error type of an item whose line is no input."""


@dataclass(slots=True)
class Survey:
    """What reading a list found."""

    offsets: list[int] = field(default_factory=list)
    total: int = 0
    size: int = 0
    failed: int = 0
    rows: list[BatchItem] = field(default_factory=list)
    """To be written; in the order of the list."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes the plan of one batch."""

    ledger: Ledger
    files: Files
    jobs: Jobs
    performers: Mapping[str, Performer]
    chunk: int

    async def plan(self, preparation: Preparation) -> Plan:
        """Return how to work through the list.

        Raises:
            BatchEmpty, BatchTooLong, BatchUnknown, ItemsMissing: it can't be.
        """
        batch, info = preparation.batch, activity.info()
        kind = kind_of_items(batch.kind)
        key = info.workflow_id or ""
        name = await self.ledger.open(
            key, kind.name, validation.fingerprint(batch), info.workflow_run_id or ""
        )
        stem = stem_of(kind, key, name)
        jobs_again: dict[int, str] = {}
        if batch.retry_of is not None:
            source = f"jobs/{job_folder()}/items.jsonl"
            jobs_again = await self._write_failed(batch.retry_of, kind, source)
        else:
            source = batch.items_source or await self._write_items(batch)
        in_chunks = kind.name in self.performers and batch.retry_of is None
        survey = Survey()
        completed = (await self.ledger.counts(name)).get(ItemState.COMPLETED, 0)
        check = Check(kind, self.jobs, preparation.owner)
        async for line in lists.lines(self.files, source):
            position = survey.total
            if position % self.chunk == 0:
                survey.offsets.append(line.offset)
            survey.total += 1
            survey.size = line.offset + len(line.text or b"") + 1
            if survey.total > MAX_ITEMS:
                msg = f"the list has more than {MAX_ITEMS:,} lines: split it"
                raise BatchTooLong(msg)
            wrong = await check.problem_of(line.text)
            if wrong is not None:
                survey.failed += 1
                survey.rows.append(_refused(position, wrong))
            elif not in_chunks:
                job_id = jobs_again.get(position, f"{stem}-{position}")
                survey.rows.append(
                    BatchItem(
                        position=position,
                        state=ItemState.WAITING,
                        offset=line.offset,
                        job_id=job_id,
                    )
                )
            if survey.total % ROWS_AT_ONCE == 0:
                await self._write(name, survey, resumed=completed > 0)
        await self._write(name, survey, resumed=completed > 0)
        if not survey.total:
            msg = "the list of items is empty"
            raise BatchEmpty(msg)
        await self.ledger.describe(name, source, survey.total)
        return Plan(
            batch=name,
            kind=kind.name,
            source=source,
            total=survey.total,
            size=survey.size,
            in_chunks=in_chunks,
            offsets=survey.offsets if in_chunks else [],
            chunk=self.chunk,
            stem=stem,
            completed=0 if in_chunks else completed,
            failed=survey.failed,
        )

    async def _write(self, batch: str, survey: Survey, *, resumed: bool) -> None:
        """Write the rows so far, but none over an item that completed in an earlier run."""
        rows, survey.rows = survey.rows, []
        if rows and resumed:
            first, last = rows[0].position, rows[-1].position
            known = await self.ledger.stretch(batch, first, last - first + 1)
            rows = [row for row in rows if row.position not in known]
        await self.ledger.write_all(batch, rows)
        report(survey.total, unit="items")
        await asyncio.sleep(0)

    async def _write_items(self, batch: Batch) -> str:
        key = f"jobs/{job_folder()}/items.jsonl"
        items = [lists.spell(item) for item in batch.items or ()]
        await self.files.put(key, b"".join(items))
        return key

    async def _write_failed(
        self, batch_id: str, kind: JobKind[Any, Any], key: str
    ) -> dict[int, str]:
        """Write the list of a batch's items that did not complete; return the ids of their jobs."""
        record = await self.ledger.find(batch_id)
        if record is None or record.source is None:
            msg = f"retry_of: the ledger has no batch {batch_id!r}"
            raise BatchUnknown(msg)
        if record.kind != kind.name:
            msg = f"retry_of: the items of {batch_id!r} are of kind {record.kind!r}"
            raise BatchUnknown(msg)
        if not record.finished:
            msg = (
                f"retry_of: {batch_id!r} has not come to its end; if it was cancelled or failed, "
                "submit it again under its id, and it goes on where it was"
            )
            raise BatchUnknown(msg)
        found: dict[int, str] = {}
        wanted = self._failed(record.batch)
        next_row = await anext(wanted, None)
        position = 0
        async with self.files.writer(key) as writer:
            async for line in lists.lines(self.files, record.source):
                if next_row is None:
                    break
                if position == next_row.position:
                    if next_row.job_id is not None:
                        found[len(found)] = next_row.job_id
                        await writer.write((line.text or b"") + b"\n")
                    next_row = await anext(wanted, None)
                position += 1
        if not found:
            msg = f"retry_of: no item of {batch_id!r} failed that could succeed without a change"
            raise BatchEmpty(msg)
        return found

    async def _failed(self, batch: str) -> AsyncIterator[BatchItem]:
        states, after = (ItemState.FAILED, ItemState.CANCELLED), -1
        while rows := await self.ledger.items(
            batch, states=states, after=after, limit=ROWS_AT_ONCE
        ):
            for row in rows:
                yield row
            after = rows[-1].position


@dataclass(slots=True)
class Check:
    """Tells what is wrong with lines."""

    kind: JobKind[Any, Any]
    jobs: Jobs
    owner: str | None
    allowed: dict[str, bool] = field(default_factory=dict)

    async def problem_of(self, text: bytes | None) -> str | None:
        """Return why a line is no input of the kind, or None."""
        try:
            data = lists.parse_json(text)
            read_item(self.kind, data)
        except InvalidInputError as error:
            return str(error)
        if self.owner is None:
            return None
        schema = validation.schema_of(self.kind.input)  # type: ignore[arg-type] # a class is hashable
        for path, key in stored_files(schema, data):
            if key not in self.allowed:
                self.allowed[key] = await self.jobs.of(self.owner).may_read(key)
            if not self.allowed[key]:
                return str(Problem(path, "no such file among yours"))
        return None


def stem_of(kind: JobKind[Any, Any], job_id: str, name: str) -> str:
    """Return what the ids of a batch's items begin with: its own key, as a kind's job."""
    generation = name.rpartition("#")[2]
    again = "" if generation == "1" else f".{generation}"
    return f"{kind.name}-{job_id.removeprefix('batch-')}{again}"


def _refused(position: int, message: str) -> BatchItem:
    return BatchItem(
        position=position,
        state=ItemState.FAILED,
        error_type=INVALID,
        error_message=message[:500],
    )

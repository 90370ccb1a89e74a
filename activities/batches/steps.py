"""Steps of the batch job.

The ledger has a row for each item that has an outcome or becomes a job of its own. A step that is
tried again does only what has no row, so no item is lost, and none is done twice but those that
were being done when the worker died; for these the effect's own ledger answers, keyed by the item's
job id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from temporalio import activity

from activities.batches import lists
from activities.batches.needs import Files, Jobs, Ledger, Performer
from activities.batches.performing import ChunkRunner, Task
from activities.batches.planning import Planner
from activities.errands import own_errand
from activities.progress import beating_with, report
from activities.working import job_folder
from jobs.base import MAX_INPUT_BYTES
from jobs.batches import (
    BATCH,
    CHUNK,
    BatchItem,
    BatchOutcomes,
    BatchResult,
    Chunk,
    ChunkResult,
    Closing,
    Following,
    ItemState,
    ItemView,
    JobItem,
    Outcomes,
    Page,
    Plan,
    Preparation,
    Reading,
    Recorded,
    brief,
    kind_of_items,
)
from jobs.errors import JobNotFoundError
from jobs.status import JobState, JobStatus

PAGE: Final = 1000
"""Outcomes that are written at once."""
READ_AT_ONCE: Final = 100
PAGE_BYTES: Final = 4 * MAX_INPUT_BYTES
"""Most that a page of inputs has; a payload has its limit too."""
BEAT_INTERVAL_S: Final = 1.0

ENDED: Final[Mapping[JobState, ItemState]] = {
    JobState.COMPLETED: ItemState.COMPLETED,
    JobState.FAILED: ItemState.FAILED,
    JobState.TIMED_OUT: ItemState.FAILED,
    JobState.CANCELLED: ItemState.CANCELLED,
    JobState.TERMINATED: ItemState.CANCELLED,
}
OPEN: Final = (ItemState.WAITING, ItemState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchActivities:
    """Steps of the batch job, over the ledger, the storage and what does single items."""

    ledger: Ledger
    files: Files
    jobs: Jobs
    performers: Mapping[str, Performer]
    """By kind: what does an item without a workflow of its own."""
    chunk: int = field(default=CHUNK)

    @activity.defn(name="batches.prepare")
    async def prepare(self, preparation: Preparation) -> Plan:
        """Read the list once: every line that is no input is a failed item from now on.

        Idempotent: what an earlier attempt wrote down is written again.
        """
        planner = Planner(self.ledger, self.files, self.jobs, self.performers, self.chunk)
        return await planner.plan(preparation)

    @activity.defn(name="batches.perform")
    async def perform(self, chunk: Chunk) -> ChunkResult:
        """Do every item of a chunk that has no outcome yet.

        Idempotent by the ledger, item by item.
        """
        known = await self.ledger.stretch(chunk.batch, chunk.position, chunk.count)
        found = await lists.stretch(
            self.files, chunk.source, chunk.offset, chunk.length, chunk.count
        )
        kind = kind_of_items(chunk.kind)
        tasks = [
            Task(position, line.offset, f"{chunk.stem}-{position}", lists.parse(kind, line.text))
            for position, line in enumerate(found, start=chunk.position)
            if position not in known
        ]
        if chunk.hand_over:
            await self.ledger.write_all(chunk.batch, [_left(task) for task in tasks])
        else:
            runner = ChunkRunner(
                batch=chunk.batch,
                perform=self.performers[chunk.kind],
                ledger=self.ledger,
                hold_on=kind.hold_on & BATCH.hold_on,
                at_once=min(chunk.at_once, len(tasks)),
                errand=own_errand(),
            )
            before = [item.state for item in known.values()].count(ItemState.COMPLETED)
            with beating_with(
                lambda: report(before + runner.done, chunk.count, unit="items"), BEAT_INTERVAL_S
            ):
                await runner.run(tasks)
        states = [
            item.state
            for item in (
                await self.ledger.stretch(chunk.batch, chunk.position, chunk.count)
            ).values()
        ]
        return ChunkResult(
            completed=states.count(ItemState.COMPLETED), left=states.count(ItemState.WAITING)
        )

    @activity.defn(name="batches.read")
    async def read(self, reading: Reading) -> Page:
        """Return the next items that become jobs of their own; idempotent, since it only reads."""
        rows = await self.ledger.items(
            reading.batch, states=OPEN, after=reading.after, limit=READ_AT_ONCE
        )
        items: list[JobItem] = []
        room = PAGE_BYTES
        for row, end in zip(rows, ends_of(rows), strict=True):
            begin = row.offset or 0
            length = end - begin if end is not None else lists.MAX_LINE_BYTES
            (line,) = await lists.stretch(self.files, reading.source, begin, length, 1)
            room -= len(line.text or b"")
            if items and room < 0:
                break
            job_id = row.job_id or ""
            data = lists.parse_json(line.text)
            items.append(JobItem(position=row.position, job_id=job_id, input=data))
        return Page(items=items)

    @activity.defn(name="batches.record")
    async def record(self, outcomes: Outcomes) -> None:
        """Write down what came of jobs; idempotent, since it writes the same again."""
        await self.ledger.settle(
            outcomes.batch,
            [
                BatchItem(
                    position=item.position,
                    state=item.state,
                    error_type=item.error_type,
                    error_message=item.error_message,
                    result=item.result,
                )
                for item in outcomes.items
            ],
        )

    @activity.defn(name="batches.follow")
    async def follow(self, following: Following) -> Recorded:
        """Return what came of an item's job that was there already, once it has ended.

        Idempotent, since it changes nothing.
        """
        with beating_with(lambda: report(0), BEAT_INTERVAL_S):
            try:
                job = await self.jobs.wait(following.job_id)
            except JobNotFoundError:
                return Recorded(
                    position=following.position,
                    state=ItemState.FAILED,
                    error_type="JobNotFound",
                    error_message="the item's job was deleted before it was looked at",
                )
        return told_by(job, following.position)

    @activity.defn(name="batches.finish")
    async def finish(self, closing: Closing) -> BatchResult:
        """Write what became of each item, and count.

        Idempotent: writing again gives the same file.
        """
        if not closing.complete:
            await self.ledger.give_up(closing.batch)
        counts = dict.fromkeys(ItemState, 0)
        async with self.files.writer(f"jobs/{job_folder()}/outcomes.jsonl") as writer:
            for position in range(0, closing.total, PAGE):
                count = min(PAGE, closing.total - position)
                rows = await self.ledger.stretch(closing.batch, position, count)
                views = [
                    _outcome(rows.get(index), index) for index in range(position, position + count)
                ]
                for view in views:
                    counts[view.state] += 1
                told = "".join(f"{view.model_dump_json(exclude_none=True)}\n" for view in views)
                await writer.write(told.encode())
                report(position + count, closing.total, unit="items")
        if closing.complete:
            await self.ledger.finish(closing.batch, activity.info().workflow_run_id or "")
        stored = writer.stored
        return BatchResult(
            total=closing.total,
            completed=counts[ItemState.COMPLETED],
            failed=counts[ItemState.FAILED],
            cancelled=counts[ItemState.CANCELLED],
            outcomes=BatchOutcomes(
                key=stored.key,
                name=f"{job_folder()}-outcomes.jsonl",
                bytes=stored.size,
                sha256=stored.sha256 or "",
            ),
        )

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.prepare, self.perform, self.read, self.record, self.follow, self.finish)


def told_by(job: JobStatus, position: int) -> Recorded:
    """Return the outcome of an item whose job has ended."""
    result: dict[str, Any] = brief(job.result or {})
    return Recorded(
        position=position,
        state=ENDED[job.state],
        error_type=job.error.type if job.error else "",
        error_message=job.error.message if job.error else "",
        result=result,
    )


def ends_of(rows: Sequence[BatchItem]) -> list[int | None]:
    """Return where the line of each row ends, as far as the row after it tells."""
    following = [*rows[1:], None]
    return [
        after.offset if after is not None and after.position == row.position + 1 else None
        for row, after in zip(rows, following[: len(rows)], strict=True)
    ]


def _left(task: Task) -> BatchItem:
    """Return the row of an item that becomes a job without having been tried."""
    return BatchItem(
        position=task.position,
        state=ItemState.WAITING,
        offset=task.offset,
        job_id=task.job_id,
    )


def _outcome(row: BatchItem | None, index: int) -> ItemView:
    """Return the line of an item; one without an outcome was cancelled before it had any."""
    if row is None:
        return ItemView(index=index, state=ItemState.CANCELLED)
    return ItemView.of(row)

"""Run many inputs of one kind: in chunks, and as jobs of their own."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    TimeoutError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

from activities.batches import BatchActivities
from jobs import kinds
from jobs.attributes import JOB_OWNER
from jobs.base import JobKind
from jobs.batches import (
    BATCH,
    FINISH,
    FOLLOW,
    PERFORM,
    PREPARE,
    READ,
    RECORD,
    BatchJob,
    BatchResult,
    Carried,
    Chunk,
    ChunkResult,
    Closing,
    Following,
    ItemState,
    JobItem,
    OnCancel,
    Outcomes,
    Preparation,
    Reading,
    Recorded,
    brief,
)
from jobs.errors import PoisonJob
from jobs.status import MEMO_TALLY
from workflows.base import JobWorkflow
from workflows.children import child_options

ITEMS_AT_ONCE: Final = 25
"""Of one chunk; a wider window runs more chunks at once."""
KEPT_EVERY_S: Final = 1.0
"""How often outcomes are written down and progress is told."""
RECORDED_AT_ONCE: Final = 100
AROUND_CHUNKS: Final = 2
"""Steps besides the chunks: preparing and finishing."""
MAX_MESSAGE: Final = 500


@workflow.defn(name=BATCH.workflow)
class RunBatchWorkflow(JobWorkflow):
    """Bring every item to an outcome; one that fails hides no other."""

    def __init__(self) -> None:
        self._steps = 0
        self._unrecorded: list[Recorded] = []
        self._stopping = False
        self._over = False

    @workflow.run
    async def run(self, batch: BatchJob) -> BatchResult:
        """Do ``batch``, from the beginning or from where an earlier run of the job stopped."""
        course = batch.carried or await self._prepare(batch)
        keeper = asyncio.create_task(self._keep(course))
        work = asyncio.create_task(self._work(batch, course))
        try:
            more = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopping = True
            self.wind_up()
            if batch.on_cancel is OnCancel.STOP:
                work.cancel()
            await _cancelled(work)
            await self._end(keeper, course)
            await self._finish(course, complete=False)
            raise
        await self._end(keeper, course)
        if more:
            self.go_on(batch.model_copy(update={"carried": course}))
        return await self._finish(course, complete=True)

    async def _prepare(self, batch: BatchJob) -> Carried:
        owner = workflow.info().typed_search_attributes.get(JOB_OWNER)
        plan = await self.step(
            BatchActivities.prepare,
            Preparation(batch=batch, owner=owner),
            PREPARE,
            place=self._place(AROUND_CHUNKS + 1),
            summary="read the list of items",
        )
        return Carried(
            plan=plan,
            completed=plan.completed,
            failed=plan.failed,
            began_at=workflow.now(),
            began_done=plan.completed + plan.failed,
        )

    async def _work(self, batch: BatchJob, course: Carried) -> bool:
        """Do what is to be done; return whether some of it is left for the job's next run."""
        plan = course.plan
        if plan.in_chunks:
            lanes = -(-batch.window // ITEMS_AT_ONCE)
            at_once = -(-batch.window // lanes)
            await _side_by_side(self._chunks(course, at_once) for _ in range(lanes))
            if course.next_chunk < len(plan.offsets):
                return True
            if not course.left:
                return False
        return await self._jobs(batch, course)

    def _pauses(self) -> bool:
        """Return whether nothing more is to begin in this run."""
        return self._stopping or workflow.info().is_continue_as_new_suggested()

    async def _chunks(self, course: Carried, at_once: int) -> None:
        """Do one chunk after the other, beside others that do the same."""
        while course.next_chunk < len(course.plan.offsets) and not self._pauses():
            index = course.next_chunk
            course.next_chunk += 1
            result = await self._chunk(course, index, at_once)
            course.completed += result.completed
            course.left += result.left

    async def _chunk(self, course: Carried, index: int, at_once: int) -> ChunkResult:
        plan = course.plan
        position = index * plan.chunk
        count = min(plan.chunk, plan.total - position)
        end = plan.offsets[index + 1] if index + 1 < len(plan.offsets) else plan.size
        chunk = Chunk(
            batch=plan.batch,
            kind=plan.kind,
            source=plan.source,
            stem=plan.stem,
            offset=plan.offsets[index],
            length=end - plan.offsets[index],
            position=position,
            count=count,
            at_once=at_once,
        )
        of = len(plan.offsets) + AROUND_CHUNKS
        summary = f"items {position + 1:,} to {position + count:,} of {plan.total:,}"
        try:
            return await self.step(
                BatchActivities.perform, chunk, PERFORM, place=self._place(of), summary=summary
            )
        except PoisonJob:
            # One of them kills its worker; as jobs of their own they can't harm each other.
            alone = chunk.model_copy(update={"hand_over": True})
            return await self.step(
                BatchActivities.perform, alone, PERFORM, place=self._place(of), summary=summary
            )

    async def _jobs(self, batch: BatchJob, course: Carried) -> bool:
        """Run items as jobs; return whether some are left for the next run."""
        jobs: list[asyncio.Task[None]] = []
        try:
            more = await self._start_jobs(batch, course, jobs)
            if jobs:
                await workflow.wait(jobs)
        except (asyncio.CancelledError, FailureError):
            for job in jobs:
                job.cancel()
            if jobs:
                await workflow.wait(jobs)
            raise
        for job in jobs:
            job.result()
        return more

    async def _start_jobs(
        self, batch: BatchJob, course: Carried, jobs: list[asyncio.Task[None]]
    ) -> bool:
        plan, kind = course.plan, kinds.find(course.plan.kind)
        places = asyncio.Semaphore(batch.window)
        policy = (
            ParentClosePolicy.REQUEST_CANCEL
            if batch.on_cancel is OnCancel.STOP
            else ParentClosePolicy.ABANDON
        )
        while True:
            page = await self.step(
                BatchActivities.read,
                Reading(batch=plan.batch, source=plan.source, after=course.after),
                READ,
                place=self._place(),
                summary="read the items that become jobs",
            )
            for item in page.items:
                await places.acquire()
                await self._until_released()
                if self._pauses():
                    return True
                course.after = item.position
                self._unrecorded.append(Recorded(position=item.position, state=ItemState.RUNNING))
                job = self._job(kind, item, course, policy)
                jobs.append(asyncio.create_task(job))
                jobs[-1].add_done_callback(lambda _: places.release())
            if not page.items:
                return False

    async def _job(
        self, kind: JobKind[Any, Any], item: JobItem, course: Carried, policy: ParentClosePolicy
    ) -> None:
        """Run one item as a job, and count how it ends."""
        try:
            job = kind.input.model_validate(item.input)
            options = child_options(kind, job, item.job_id.removeprefix(f"{kind.name}-"))
            options["parent_close_policy"] = policy
            result = await workflow.execute_child_workflow(kind.workflow, job, **options)
            outcome = Recorded(
                position=item.position, state=ItemState.COMPLETED, result=brief(result or {})
            )
        except WorkflowAlreadyStartedError:
            outcome = await self.step(
                BatchActivities.follow,
                Following(position=item.position, job_id=item.job_id),
                FOLLOW,
                place=self._place(),
                summary=f"wait for {item.job_id}, which was there already",
            )
        except ChildWorkflowError as error:
            outcome = ended_badly(item.position, error)
        except ValidationError:
            outcome = Recorded(
                position=item.position,
                state=ItemState.FAILED,
                error_type="ItemInvalid",
                error_message="it is no input of its kind any more",
            )
        match outcome.state:
            case ItemState.COMPLETED:
                course.completed += 1
            case ItemState.FAILED:
                course.failed += 1
            case _:
                course.cancelled += 1
        self._unrecorded.append(outcome)

    async def _keep(self, course: Carried) -> None:
        """Write down how jobs stand and tell how far the batch is, once a second at most."""
        told = -1
        while not self._over:
            if course.done != told or self._unrecorded:
                told = course.done
                tally = course.tally(workflow.now())
                workflow.upsert_memo({MEMO_TALLY: tally})
                if self._hold is None:
                    said = f"{tally.done:,} of {tally.total:,} items {tally.message}"
                    workflow.set_current_details(said.rstrip())
                await self._record(course)
                with suppress(asyncio.TimeoutError):
                    await workflow.wait_condition(lambda: self._over, timeout=KEPT_EVERY_S)
            seen = told
            await workflow.wait_condition(
                lambda: self._over or course.done != seen or bool(self._unrecorded)  # noqa: B023
            )

    async def _end(self, keeper: asyncio.Task[None], course: Carried) -> None:
        self._over = True
        await keeper
        await self._record(course)

    async def _record(self, course: Carried) -> None:
        while self._unrecorded:
            items = self._unrecorded[:RECORDED_AT_ONCE]
            del self._unrecorded[: len(items)]
            await self.step(
                BatchActivities.record,
                Outcomes(batch=course.plan.batch, items=items),
                RECORD,
                place=self._place(),
                summary="write down how jobs stand",
            )

    async def _finish(self, course: Carried, *, complete: bool) -> BatchResult:
        plan = course.plan
        return await self.step(
            BatchActivities.finish,
            Closing(batch=plan.batch, total=plan.total, complete=complete),
            FINISH,
            place=self._place(),
            summary="write the outcomes",
        )

    def _place(self, of: int = 0) -> tuple[int, int]:
        self._steps += 1
        return self._steps, max(self._steps, of)


async def _side_by_side(lanes: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Return when all have ended; one that fails lets the others come to their end."""
    tasks = [asyncio.create_task(lane) for lane in lanes]
    try:
        await workflow.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await workflow.wait(tasks)
    failures = [task.exception() for task in tasks if not task.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure


async def _cancelled(work: asyncio.Task[bool]) -> None:
    """Return when the work has stopped.

    Raises:
        FailureError: it did not stop but fail.
    """
    try:
        await work
    except (asyncio.CancelledError, FailureError) as error:
        if not is_cancelled_exception(error):
            raise


def ended_badly(position: int, error: ChildWorkflowError) -> Recorded:
    """Return the outcome of an item whose job did not complete."""
    state, kind, message = ItemState.FAILED, "Error", error.message
    if is_cancelled_exception(error) or isinstance(error.cause, TerminatedError):
        return Recorded(position=position, state=ItemState.CANCELLED)
    cause: BaseException | None = error.cause
    if isinstance(cause, TimeoutError):
        kind, message = "DeadlineExceeded", "the job's deadline passed before it was done"
    while cause is not None:
        if isinstance(cause, ApplicationError):
            kind, message = cause.type or "Error", cause.message
            break
        cause = cause.__cause__
    return Recorded(
        position=position, state=state, error_type=kind, error_message=message[:MAX_MESSAGE]
    )

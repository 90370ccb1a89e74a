"""Hand out places to jobs with one key; and, in a job's workflow, take one.

async with place("import", job.target, limit=1):
...
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import (
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

from activities.places import PlaceActivities
from jobs.base import InputT, JobKind
from jobs.places import (
    ASK,
    ASK_AGAIN,
    GIVE_BACK,
    GIVEN,
    LOOK_INTERVAL,
    MEMO_PLACE,
    PLACES_WORKFLOW,
    TAKEN,
    JobIds,
    Places,
    places_id,
    taken_words,
)

LOOK_TIMEOUT: Final = timedelta(seconds=30)


@workflow.defn(name=PLACES_WORKFLOW)
class KeepPlacesWorkflow:
    """Lives as long as somebody has a place of the key or wants one."""

    def __init__(self) -> None:
        self._holders: list[str] = []
        self._waiting: list[str] = []
        self._untold: list[str] = []
        self._news = False

    @workflow.signal(name=ASK)
    def ask(self, job_id: str) -> None:
        """Put a job in the line; one that asks again keeps its place, or its place in the line."""
        self._news = True
        if job_id not in self._waiting:
            self._waiting.append(job_id)
        self._untold.append(job_id)

    @workflow.signal(name=GIVE_BACK)
    def give_back(self, job_id: str) -> None:
        """Take a job's place back, or take it out of the line."""
        self._news = True
        self._forget({job_id})

    @workflow.run
    async def run(self, places: Places) -> None:
        """Hand out places until nobody wants one."""
        self._holders = [*places.holders, *self._holders]
        self._waiting = [*places.waiting, *self._waiting]
        while True:
            try:
                await workflow.wait_condition(lambda: self._news, timeout=places.look_interval)
            except TimeoutError:
                await self._look()
            self._news = False
            await self._hand_out(places.limit)
            if self._news:
                continue
            if not self._holders and not self._waiting:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    places.model_copy(
                        update={"holders": tuple(self._holders), "waiting": tuple(self._waiting)}
                    )
                )

    async def _hand_out(self, limit: int) -> None:
        """Give each job its turn; who asked again while having a place is told so again.

        Who must wait is told so when it asks, and not at every turn: a long line would cost as many
        signals as its length squared.
        """
        for job_id in [one for one in self._waiting if one in self._holders]:
            self._waiting.remove(job_id)
            await self._tell(job_id, GIVEN, "")
        while self._waiting and len(self._holders) < limit:
            job_id = self._waiting.pop(0)
            self._holders.append(job_id)
            await self._tell(job_id, GIVEN, "")
        told = taken_words(tuple(self._holders), limit)
        untold, self._untold = self._untold, []
        for job_id in untold:
            if job_id in self._waiting:
                await self._tell(job_id, TAKEN, told)

    async def _tell(self, job_id: str, signal: str, words: str) -> None:
        try:
            await workflow.get_external_workflow_handle(job_id).signal(signal, words)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            self._forget({job_id})  # it has ended
            self._news = True

    async def _look(self) -> None:
        known = JobIds(ids=(*self._holders, *self._waiting))
        if known.ids:
            ended = await workflow.execute_local_activity_method(
                PlaceActivities.ended, known, start_to_close_timeout=LOOK_TIMEOUT
            )
            self._forget({*ended.ids})

    def _forget(self, job_ids: set[str]) -> None:
        self._holders = [one for one in self._holders if one not in job_ids]
        self._waiting = [one for one in self._waiting if one not in job_ids]


@asynccontextmanager
async def place_of(kind: JobKind[InputT, Any], job: InputT) -> AsyncIterator[None]:
    """Have the place that the kind's ``concurrency`` asks for, if it does for this job."""
    asked = kind.concurrency
    key = asked.key(job) if asked else None
    if asked is None or key is None:
        yield
        return
    async with place(kind.name, key, limit=asked.limit):
        yield


@asynccontextmanager
async def place(
    kind: str, key: str, *, limit: int, look_interval: timedelta = LOOK_INTERVAL
) -> AsyncIterator[None]:
    """Wait for one of the ``limit`` places of a key, and have it until the block is left.

    The job's memo and details tell what it waits for. A job has one such block at a time.
    """
    keeper, me = places_id(kind, key), workflow.info().workflow_id
    given = False

    def on_given(_: str) -> None:
        nonlocal given
        given = True

    def on_taken(words: str) -> None:
        if not given:
            workflow.upsert_memo({MEMO_PLACE: words})
            workflow.set_current_details(f"**{words}**")

    workflow.set_signal_handler(GIVEN, on_given)
    workflow.set_signal_handler(TAKEN, on_taken)
    try:
        while not given:
            await _ask(keeper, me, Places(limit=limit, look_interval=look_interval))
            try:
                await workflow.wait_condition(lambda: given, timeout=ASK_AGAIN)
            except TimeoutError:
                continue
        if workflow.memo_value(MEMO_PLACE, None) is not None:
            workflow.upsert_memo({MEMO_PLACE: None})
            workflow.set_current_details("")
        yield
    except GeneratorExit:  # a worker forgets the workflow, which goes on elsewhere
        raise
    except BaseException:
        await _give_back(keeper, me)
        raise
    else:
        await _give_back(keeper, me)


async def _give_back(keeper: str, me: str) -> None:
    try:
        await workflow.get_external_workflow_handle(keeper).signal(GIVE_BACK, me)
    except FailureError:
        workflow.logger.info("who handed out the place has gone")


async def _ask(keeper: str, me: str, places: Places) -> None:
    """Ask who hands out the places, who is started if nobody had one."""
    while True:
        try:
            await workflow.start_child_workflow(
                PLACES_WORKFLOW, places, id=keeper, parent_close_policy=ParentClosePolicy.ABANDON
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.debug("others have places")
        try:
            await workflow.get_external_workflow_handle(keeper).signal(ASK, me)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            continue  # it ended in between
        return

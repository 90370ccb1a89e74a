"""A workflow of one step, to test what every workflow is made of.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityConfig
from typing_extensions import override

from activities import progress
from jobs.base import NEVER_RETRIED, Contract
from workflows.base import JobWorkflow

PATIENCE = timedelta(seconds=60)

WORK = ActivityConfig(
    start_to_close_timeout=2 * PATIENCE,
    heartbeat_timeout=PATIENCE,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(hours=1),
        maximum_attempts=5,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)


class Note(Contract):
    text: str


@dataclass
class Steps:
    """Fails in the way that the note's text says, ``failures`` times."""

    failures: int = 1
    final: bool = False
    """Whether another attempt is no use."""
    calls: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn(name="notes.work")
    async def work(self, note: Note) -> Note:
        self.calls.append(activity.info().activity_id)
        self.begun.set()
        if len(self.calls) <= self.failures:
            if note.text == "stall":
                progress.report(0)
            if note.text in {"hang", "stall"}:
                await activity.wait_for_cancelled()
            if note.text == "deaf":
                return await self._ended_though_cancelled(note)
            raise ApplicationError("cut", type=note.text, non_retryable=self.final)
        return note

    async def _ended_though_cancelled(self, note: Note) -> Note:
        with suppress(asyncio.CancelledError):
            for _ in range(600):
                activity.heartbeat()
                await asyncio.sleep(0.1)
        return note


@dataclass(frozen=True)
class SoonLost(Interceptor):
    """Lets the server miss the beats of a job's first ``steps`` after a second.

    Those that follow have all the time that they need.
    """

    steps: int

    @override
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        steps = self.steps

        class Inbound(WorkflowInboundInterceptor):
            @override
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_ShortBeats(outbound, steps))

        return Inbound


class _ShortBeats(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, steps: int) -> None:
        super().__init__(following)
        self._left = steps

    @override
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        if self._left > 0:
            self._left -= 1
            input.heartbeat_timeout = timedelta(seconds=1)
        return super().start_activity(input)


@workflow.defn(name="Notes")
class NotesWorkflow(JobWorkflow):
    @workflow.run
    async def run(self, note: Note) -> Note:
        return await self.step(Steps.work, note, WORK, place=(1, 2), summary="work")


@workflow.defn(name="TwoNotes")
class TwoNotesWorkflow(JobWorkflow):
    """Works twice."""

    @workflow.run
    async def run(self, note: Note) -> Note:
        for place in (1, 2):
            note = await self.step(Steps.work, note, WORK, place=(place, 2), summary="work")
        return note


@workflow.defn(name="TwoRuns")
class TwoRunsWorkflow(JobWorkflow):
    """Works once in each of two runs, held at the end of the first."""

    @workflow.run
    async def run(self, note: Note) -> Note:
        done = await self.step(Steps.work, note, WORK, place=(1, 2), summary="work")
        if note.text != "again":
            self.hold("between two runs")
            self.go_on(Note(text="again"))
        return done

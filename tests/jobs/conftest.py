"""A client whose kinds include ``note``, and a worker for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.failures import FailureActivities
from activities.interceptor import StepInterceptor
from jobs import kinds
from jobs.base import JobKind, Queue
from jobs.client import JobClient, reading
from jobs.failures import FinalFailure
from tests.conftest import HEARTBEAT_INTERVAL
from tests.jobs.notes import NOTE, FileNoteWorkflow, NoteSteps
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER


@dataclass
class Reports:
    """An error tracker that remembers."""

    temporal: Client
    seen: list[FinalFailure] = field(default_factory=list)

    async def report(self, failure: FinalFailure) -> None:
        self.seen.append(failure)

    async def attempts(self, job_id: str, run_id: str) -> int:
        return await reading.last_attempt(self.temporal, job_id, run_id)


@dataclass
class NoteWorker:
    """What a test's worker did."""

    steps: NoteSteps
    reports: Reports


StartWorker: TypeAlias = Callable[[], AbstractAsyncContextManager[NoteWorker]]


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch, unique: str) -> JobKind[Any, Any]:
    """The kind ``note``, on a queue of the test's own."""
    note = replace(NOTE, queue=cast("Queue", unique))
    monkeypatch.setitem(cast("dict[str, object]", kinds.KINDS), note.name, note)
    monkeypatch.setitem(cast("dict[str, object]", kinds.KINDS_BY_WORKFLOW), note.workflow, note)
    return note


@pytest.fixture
def jobs(client: Client, kind: JobKind[Any, Any]) -> JobClient:
    """A client that knows the kind ``note``."""
    assert kind.name in kinds.KINDS
    return JobClient(client, ui_url="http://127.0.0.1:8233")


@pytest.fixture
def worker(client: Client, unique: str) -> StartWorker:
    """Return what starts a worker for the notes of the test."""

    @asynccontextmanager
    async def start() -> AsyncIterator[NoteWorker]:
        steps, reports = NoteSteps(), Reports(client)
        async with Worker(
            client,
            task_queue=unique,
            workflows=[FileNoteWorkflow],
            activities=[*steps.all(), *FailureActivities(reports, reports).all()],
            workflow_runner=RUNNER,
            interceptors=[StepInterceptor(), FinalFailureInterceptor()],
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            disable_eager_activity_execution=True,  # as in worker.py: else no limit binds
        ):
            yield NoteWorker(steps, reports)

    return start

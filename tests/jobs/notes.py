"""A small kind of job, to test the client by itself: its input says how it goes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityConfig

from activities.progress import report
from jobs.base import NEVER_RETRIED, Contract, JobKind, Personal, Queue, StoredFile
from jobs.errors import PermanentError, TransientError
from workflows.base import JobWorkflow


class NoteRefused(PermanentError):
    """The note is no good."""


class NoteDelayed(TransientError):
    """The note is good later."""


class CabinetFull(PermanentError):
    """Somebody must empty the cabinet."""


class Line(Contract):
    text: str = ""
    weight: int = 0


class Note(Contract):
    """What to do, in two steps: ``read`` and ``file``."""

    text: str
    to: Annotated[str, Personal] = ""
    behave: str = "well"
    """``well``, ``refuse``, ``fail``, ``wait`` (until cancelled), ``fill`` (fails while full)."""
    lines: tuple[Line, ...] = ()
    attachments: tuple[StoredFile, ...] = ()


class Filed(Contract):
    text: str


STEP: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(minutes=2),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(hours=1),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

NOTE: Final = JobKind(
    name="note",
    workflow="FileNote",
    input=Note,
    result=Filed,
    queue=Queue.EMAILS,
    deadline=timedelta(days=1),
    steps={"notes.read": STEP, "notes.file": STEP},
    hold_on=frozenset({"CabinetFull"}),
    summarize=lambda note: f"file a note of {len(note.text)} characters",
    example={"text": "hello"},
)


@dataclass
class NoteSteps:
    """The steps, and which of them were begun."""

    begun: list[str] = field(default_factory=list)
    full: bool = False
    mended: bool = False
    """Whether every note is filed, whatever it says."""

    @activity.defn(name="notes.read")
    async def read(self, note: Note) -> Note:
        self.begun.append("read")
        return note

    @activity.defn(name="notes.file")
    async def file(self, note: Note) -> Filed:
        self.begun.append("file")
        report(3, 4, unit="lines", message="filing")
        match note.behave:
            case _ if self.mended:
                return Filed(text=note.text)
            case "refuse":
                raise NoteRefused("the note is no good: write another")
            case "fill" if self.full:
                raise CabinetFull("the cabinet is full: empty it")
            case "fail":
                raise NoteDelayed("the cabinet is locked")
            case "wait":
                while True:
                    report(3, 4, unit="lines", message="filing")
                    await asyncio.sleep(0.1)
            case _:
                return Filed(text=note.text)

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.read, self.file)


@workflow.defn(name=NOTE.workflow)
class FileNoteWorkflow(JobWorkflow):
    @workflow.run
    async def run(self, note: Note) -> Filed:
        if note.behave == "break":
            raise ApplicationError("no step was begun", type="NoteBroken")
        read = await self.step(NoteSteps.read, note, STEP, place=(1, 2), summary="read")
        return await self.step(NoteSteps.file, read, STEP, place=(2, 2), summary="file")

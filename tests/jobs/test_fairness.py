"""Who is first: priority, and turns between owners, as the server of the tests is configured.

The queue is paused until all wait in it, and has one slot, so that the order is the server's.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from jobs.base import JobKind
from jobs.client import JobClient, Submission
from jobs.client.limits import pause, resume
from tests.jobs.notes import Filed, FileNoteWorkflow, Note
from tests.jobs.queues import steps_waiting
from workflows.sandbox import RUNNER

PATIENCE = timedelta(minutes=8)


@dataclass
class Witness:
    """The steps of a note, which remember whose turn it was."""

    turns: list[str] = field(default_factory=list)

    @activity.defn(name="notes.read")
    async def read(self, note: Note) -> Note:
        self.turns.append(note.text)
        return note

    @activity.defn(name="notes.file")
    async def file(self, note: Note) -> Filed:
        return Filed(text=note.text)

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.read, self.file)


@asynccontextmanager
async def one_slot(client: Client, queue: str) -> AsyncIterator[Witness]:
    """Run a worker that does one step at a time."""
    witness = Witness()
    async with Worker(
        client,
        task_queue=queue,
        workflows=[FileNoteWorkflow],
        activities=witness.all(),
        workflow_runner=RUNNER,
        max_concurrent_activities=1,
        disable_eager_activity_execution=True,
    ):
        yield witness


async def turns(client: Client, jobs: JobClient, queue: str, made: Sequence[Submission]) -> str:
    """Return the owners of ``made``, submitted in that order, in the order of their first steps."""
    await pause(client, queue, reason="until all wait", author="test")
    async with one_slot(client, queue) as witness:
        ids = [(await jobs.submit("note", {"text": str(one.owner)[-1]}, one)).id for one in made]
        await steps_waiting(client, queue, len(made))
        await resume(client, queue)
        for job_id in ids:
            await jobs.wait(job_id, within=PATIENCE)
    return "".join(witness.turns)


async def test_five_jobs_of_one_owner_do_not_wait_behind_sixty_of_another(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any]
) -> None:
    made = [*[Submission(owner="owner-a")] * 60, *[Submission(owner="owner-b")] * 5]
    order = await turns(client, jobs, kind.queue, made)
    assert order.rindex("b") < 20, order


async def test_what_is_urgent_goes_before_what_waited_longer(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any]
) -> None:
    made = [
        *[Submission(owner="owner-e", priority=5)] * 10,
        *[Submission(owner="owner-c")] * 10,
        *[Submission(owner="owner-a", priority=1)] * 5,
    ]
    order = await turns(client, jobs, kind.queue, made)
    # The worker asks for one step ahead of its slot, so the first may be any.
    assert order[2:].index("a") < order[2:].index("c") < order[2:].index("e"), order
    assert order.rindex("a") < 8, order
    assert order[8:].rstrip("e").count("e") <= 1, order

"""The import job on a real server: lost workers, cancelling, going on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker
from typing_extensions import override

from activities.imports import ImportActivities
from activities.places import PlaceActivities
from adapters.database import Database, migrate
from adapters.database.transfers import Imports
from adapters.transfers import SourceFiles
from jobs.client import JobClient
from jobs.client.logs import logs
from jobs.client.places import JobsOnServer
from jobs.errors import PoisonJob
from jobs.imports import (
    LOAD,
    Chunk,
    ImportData,
    ImportFormat,
    ImportPlan,
    ImportPosition,
    ImportResult,
    Layout,
    Written,
)
from jobs.places import MEMO_PLACE, Places, places_id
from tests.transfers import Importing
from workflows.imports import ImportDataWorkflow
from workflows.places import KeepPlacesWorkflow
from workflows.sandbox import RUNNER

JOB = ImportData(source="customers.csv", target="customers")
KEEPER = places_id("import", JOB.target)
"""Shared by all tests here, so each waits until it has gone."""
HEADER = "id,email,name,country,created_at\n"


def customers(count: int) -> str:
    rows = (
        f"C-{number},c{number}@example.com,{'Name ' * 30},GB,2026-01-01T09:00:00Z\n"
        for number in range(count)
    )
    return HEADER + "".join(rows)


@pytest.fixture
async def importing(tmp_path: Path) -> AsyncIterator[Importing]:
    url = f"sqlite:///{tmp_path / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    yield Importing(database)
    await database.close()


@asynccontextmanager
async def working(
    client: Client, queue: str, activities: Sequence[Callable[..., object]]
) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=queue,
        workflows=[ImportDataWorkflow, KeepPlacesWorkflow],
        activities=[*activities, *PlaceActivities(JobsOnServer(client)).all()],
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=timedelta(milliseconds=200),
    ):
        yield
        with suppress(RPCError):  # no rows were loaded
            await client.get_workflow_handle(KEEPER).result()


async def run(client: Client, unique: str) -> ImportResult:
    return await client.execute_workflow(ImportDataWorkflow.run, JOB, id=unique, task_queue=unique)


async def test_a_file_is_imported_step_by_step(
    client: Client, unique: str, importing: Importing
) -> None:
    await importing.storage.put("customers.csv", customers(3).encode() + b"C-9,no,,,\n")
    async with working(client, unique, importing.steps.all()):
        result = await run(client, unique)
    assert (result.read, result.inserted, result.rejected) == (4, 3, 1)
    assert result.rejects is not None
    assert result.rejects.key.startswith(f"jobs/{unique}/customers-rejects-")


@dataclass(frozen=True)
class SlowLedger(Imports):
    """Writes two chunks, then waits until the step is cancelled."""

    waits: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def write(
        self,
        import_id: str,
        target: str,
        chunk: Chunk,
        *,
        dry_run: bool = False,
        likely_new: bool = False,
    ) -> Written:
        written = await Imports.write(
            self, import_id, target, chunk, dry_run=dry_run, likely_new=likely_new
        )
        while chunk.number == 1:
            self.waits.set()
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return written


async def test_a_cancelled_import_stops_after_a_chunk_and_goes_on_when_submitted_again(
    client: Client, unique: str, importing: Importing
) -> None:
    await importing.storage.put("customers.csv", customers(10_000).encode())
    ledger = SlowLedger(importing.database)
    slow = ImportActivities(importing.storage, SourceFiles(), ledger)
    async with working(client, unique, slow.all()):
        job = await client.start_workflow(ImportDataWorkflow.run, JOB, id=unique, task_queue=unique)
        await ledger.waits.wait()
        await job.cancel()
        with pytest.raises(WorkflowFailureError):
            await job.result()
    assert (await job.describe()).status is WorkflowExecutionStatus.CANCELED
    stopped = await ledger.position(unique)
    assert stopped is not None
    assert len(await importing.rows("customers")) == stopped.read < 10_000
    told = [line.text async for line in logs(client, unique)]
    assert any(text.startswith(f"stopped after row {stopped.read:,} of 10,000") for text in told)

    async with working(client, unique, importing.steps.all()):
        result = await run(client, unique)
    assert (result.read, result.inserted) == (10_000, 10_000)
    went_on = await ledger.position(unique)
    assert went_on is not None
    assert went_on.import_id == stopped.import_id


@dataclass
class LosingSteps:
    """Steps whose load loses its worker ``losses`` times, ``per_chunk`` times in each chunk.

    The load after the last loss, which begins a chunk, has all the time that it needs.
    """

    losses: int
    per_chunk: int
    loads: list[int] = field(default_factory=list)

    @activity.defn(name="imports.inspect")
    async def inspect(self, job: ImportData) -> ImportPlan:
        layout = Layout(
            format=ImportFormat.CSV,
            encoding="utf-8",
            delimiter=",",
            headers=(),
            columns=(),
            body=0,
            first_line=1,
            size=0,
            rows=0,
        )
        return ImportPlan(job=job, source_sha256="", source_bytes=0, layout=layout)

    @activity.defn(name="imports.load")
    async def load(self, plan: ImportPlan) -> ImportPosition:
        self.loads.append(activity.info().attempt)
        if len(self.loads) <= self.losses:
            await activity.wait_for_cancelled()
        return ImportPosition(import_id="i")

    @activity.defn(name="imports.position")
    async def position(self, plan: ImportPlan) -> ImportPosition:
        if len(self.loads) == self.losses:
            LOAD["heartbeat_timeout"] = timedelta(seconds=60)
        return ImportPosition(import_id="i", read=len(self.loads) // self.per_chunk)

    @activity.defn(name="imports.finish")
    async def finish(self, plan: ImportPlan) -> ImportResult:
        return ImportResult(
            read=0,
            inserted=0,
            updated=0,
            unchanged=0,
            rejected=0,
            dry_run=False,
            source_sha256="",
        )

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.inspect, self.load, self.position, self.finish)


@pytest.fixture
def short_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOAD, "heartbeat_timeout", timedelta(milliseconds=300))


async def test_imports_into_one_table_load_their_rows_one_after_the_other(
    client: Client, unique: str
) -> None:
    steps = LosingSteps(losses=0, per_chunk=3)
    async with working(client, unique, steps.all()):
        places = Places(
            limit=1,
            holders=("import-other",),
            look_interval=timedelta(minutes=10),  # nobody sees that it is no job
        )
        first = await client.start_workflow("KeepPlaces", places, id=KEEPER, task_queue=unique)
        job = await client.start_workflow(ImportDataWorkflow.run, JOB, id=unique, task_queue=unique)
        told = ""
        async with asyncio.timeout(60):
            while not told:
                told = await (await job.describe()).memo_value(MEMO_PLACE, "")
                await asyncio.sleep(0.05)
        explained = await JobClient(client).explain(unique)
        loaded_while_waiting = list(steps.loads)
        await first.signal("give_back", "import-other")
        await job.result()

    assert explained.text == "It is waiting for a place: 1 of 1 taken by import-other."
    assert (loaded_while_waiting, steps.loads) == ([], [1])


@pytest.mark.usefixtures("short_heartbeats")
async def test_an_import_outlives_any_number_of_lost_workers_while_rows_are_added(
    client: Client, unique: str
) -> None:
    steps = LosingSteps(losses=6, per_chunk=3)
    async with working(client, unique, steps.all()):
        await run(client, unique)
    assert len(steps.loads) == 7


@pytest.mark.usefixtures("short_heartbeats")
async def test_a_chunk_that_loses_every_worker_poisons_the_job(client: Client, unique: str) -> None:
    steps = LosingSteps(losses=100, per_chunk=1000)
    async with working(client, unique, steps.all()):
        with pytest.raises(WorkflowFailureError) as raised:
            await run(client, unique)
    assert isinstance(raised.value.cause, ApplicationError)
    assert not isinstance(raised.value.cause, ActivityError)
    assert raised.value.cause.type == PoisonJob.__name__
    assert len(steps.loads) == 3

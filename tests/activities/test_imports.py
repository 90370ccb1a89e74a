"""Steps of imports: progress, resuming, and when a job must not go on."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.working import in_thread
from adapters.database import Database, migrate
from adapters.database.transfers import Imports
from jobs.files import ObjectNotFound
from jobs.imports import (
    ImportData,
    ImportSourceChanged,
    ImportSuperseded,
    ImportTooManyRejects,
    Meter,
    MeterStopped,
)
from tests.transfers import Importing, environment

HEADER = "id,email,name,country,created_at\n"
JOB = ImportData(source="customers.csv", target="customers")


def customers(count: int, *, country: str = "GB", first: int = 0) -> bytes:
    rows = (
        f"C-{number},c{number}@example.com,{'Name ' * 30},{country},2026-01-01T09:00:00Z\n"
        for number in range(first, first + count)
    )
    return (HEADER + "".join(rows)).encode()


@pytest.fixture(scope="module")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "conveyor.db"
    await migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
async def importing(template: Path, tmp_path: Path) -> AsyncIterator[Importing]:
    shutil.copyfile(template, tmp_path / "conveyor.db")
    database = Database.open(f"sqlite:///{tmp_path / 'conveyor.db'}")
    yield Importing(database)
    await database.close()


async def test_progress_is_in_rows_and_only_forwards(importing: Importing) -> None:
    await importing.file("customers.csv", customers(10_000), target="customers")
    loading = [beat for beat in importing.beats if beat.unit == "rows"]
    assert {beat.total for beat in loading} == {10_000}
    done = [beat.done for beat in loading]
    assert done == sorted(done)
    assert done[-1] == 10_000
    assert len(set(done)) > 3


async def test_a_missing_source_is_named(importing: Importing) -> None:
    with pytest.raises(ObjectNotFound, match=r"customers\.csv"):
        await importing.run(JOB)


async def test_a_file_that_changes_on_the_way_is_not_loaded(importing: Importing) -> None:
    surroundings = environment("import-1", "run")
    await importing.storage.put("customers.csv", customers(3))
    plan = await surroundings.run(importing.steps.inspect, JOB)
    await importing.storage.put("customers.csv", customers(4))
    with pytest.raises(ImportSourceChanged):
        await surroundings.run(importing.steps.load, plan)
    assert await importing.rows("customers") == []


async def test_a_file_that_is_nearly_all_bad_is_not_begun(importing: Importing) -> None:
    await importing.storage.put("customers.csv", customers(200, country="Germany"))
    with pytest.raises(ImportTooManyRejects, match="200 of the first 200 rows are bad"):
        await importing.run(JOB)
    assert await importing.rows("customers") == []


async def test_an_import_with_too_many_bad_rows_goes_no_further_when_retried(
    importing: Importing,
) -> None:
    mixed = customers(9_000) + customers(500, country="x", first=9_000)[len(HEADER) :]
    await importing.storage.put("customers.csv", mixed + customers(9_000)[len(HEADER) :])
    job = JOB.model_copy(update={"max_errors": 10})
    for run_id in ("first", "second"):
        with pytest.raises(ImportTooManyRejects):
            await importing.run(job, job_id="import-1", run_id=run_id)
        position = await Imports(importing.database).position("import-1")
        assert position is not None
        assert position.read < 18_500
        assert position.import_id == "first"


async def test_another_file_under_the_same_id_begins_anew(importing: Importing) -> None:
    surroundings = environment("import-1", "first")
    await importing.storage.put("customers.csv", customers(3))
    await surroundings.run(
        importing.steps.load, await surroundings.run(importing.steps.inspect, JOB)
    )
    await importing.storage.put("customers.csv", customers(5))
    result = await importing.run(JOB, job_id="import-1", run_id="second")
    assert (result.read, result.inserted, result.unchanged) == (5, 2, 3)


async def test_a_finished_import_submitted_again_reads_the_file_again(
    importing: Importing,
) -> None:
    await importing.storage.put("customers.csv", customers(3))
    await importing.run(JOB, job_id="import-1", run_id="first")
    result = await importing.run(JOB, job_id="import-1", run_id="second")
    assert (result.read, result.inserted, result.unchanged) == (3, 0, 3)


async def test_every_step_can_be_repeated_with_the_same_result(importing: Importing) -> None:
    surroundings = environment("import-1", "run")
    bad = customers(1, country="x", first=9)[len(HEADER) :]
    await importing.storage.put("customers.csv", customers(3) + bad)
    plan = await surroundings.run(importing.steps.inspect, JOB)
    assert await surroundings.run(importing.steps.inspect, JOB) == plan
    loaded = await surroundings.run(importing.steps.load, plan)
    assert await surroundings.run(importing.steps.load, plan) == loaded
    result = await surroundings.run(importing.steps.finish, plan)
    assert await surroundings.run(importing.steps.finish, plan) == result
    assert (result.inserted, result.rejected) == (3, 1)


async def test_a_chunk_that_is_in_the_ledger_is_refused(
    importing: Importing, tmp_path: Path
) -> None:
    surroundings = environment("import-1", "run")
    await importing.storage.put("customers.csv", customers(3))
    plan = await surroundings.run(importing.steps.inspect, JOB)
    position = await surroundings.run(importing.steps.load, plan)
    text = tmp_path / "again.csv"
    text.write_bytes(customers(3))
    chunk = next(importing.steps.sources.chunks(text, plan, position.model_copy(
        update={"chunk": 0, "byte": 0, "read": 0})))  # fmt: skip
    with pytest.raises(ImportSuperseded):
        await importing.steps.ledger.write(position.import_id, "customers", chunk)


async def test_what_a_job_left_can_be_forgotten(importing: Importing) -> None:
    await importing.storage.put("customers.csv", customers(3))
    await importing.run(JOB, job_id="import-1")
    ledger = Imports(importing.database)
    await ledger.forget("import-1")
    await ledger.forget("import-1")
    assert await ledger.position("import-1") is None


async def test_a_cancelled_step_stops_its_thread() -> None:
    meter, begun, ended = Meter(), threading.Event(), threading.Event()

    def work() -> None:
        try:
            while True:
                meter.advance(1)
                begun.set()
                time.sleep(0.01)
        except MeterStopped:
            ended.set()
            raise

    step = asyncio.create_task(in_thread(work, meter, lambda _: None))
    await asyncio.to_thread(begun.wait)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert ended.is_set()

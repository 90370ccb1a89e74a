"""The export job on a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.exports import ExportActivities
from adapters.database import Database, migrate
from adapters.database.shop import products
from adapters.database.transfers import Exports
from adapters.storage import Storage
from adapters.transfers import open_writer
from jobs.exports import ExportData, ExportResult
from workflows.exports import ExportDataWorkflow
from workflows.sandbox import RUNNER


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    row = {"name": "Tea", "category": "drinks", "price_minor": 250, "currency": "EUR"}
    async with database.begin() as connection:
        await connection.execute(products.insert(), [{"id": f"P-{n}", **row} for n in range(5)])
    yield database
    await database.close()


async def run(
    client: Client, unique: str, job: ExportData, database: Database, storage: Storage
) -> ExportResult:
    steps = ExportActivities(storage, Exports(database), open_writer, part_rows=2)
    async with Worker(
        client,
        task_queue=unique,
        workflows=[ExportDataWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        return await client.execute_workflow(
            ExportDataWorkflow.run, job, id=unique, task_queue=unique
        )


async def test_rows_are_written_and_published(
    client: Client, unique: str, database: Database
) -> None:
    storage = Storage.open("memory:")
    result = await run(client, unique, ExportData(query="products"), database, storage)
    assert (result.rows, result.consistency) == (5, "snapshot")
    assert result.file.key.startswith(f"jobs/{unique}/products-")
    assert (await storage.get(result.file.key)).splitlines()[1] == b"P-0,Tea,drinks,2.50,EUR"


async def test_a_resumable_export_leaves_no_parts_behind(
    client: Client, unique: str, database: Database
) -> None:
    storage = Storage.open("memory:")
    job = ExportData(query="products", resume=True)
    result = await run(client, unique, job, database, storage)
    assert [stored.key async for stored in storage.list("jobs/")] == [result.file.key]
    assert (await storage.get(result.file.key)).count(b"\n") == 6

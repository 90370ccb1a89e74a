"""What a job leaves behind is found and erased, and nothing else."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from adapters.database import Database
from adapters.database.batches import BatchLedger
from adapters.database.images import Images
from adapters.database.transfers import Exports, Imports
from adapters.storage import Storage
from adapters.traces import Traces
from jobs.batches import BatchItem, ItemState
from jobs.exports import Part
from jobs.images.records import ImageStatus
from tests.adapters.test_images_catalog import MADE, record

RUN = "3f2c"

LEFT: Mapping[str, tuple[str, ...]] = {
    "report": ("jobs/report-a/figures-1.json", "jobs/report-a/9/chart.png"),
    "export": ("jobs/export-a/parts/3f2c/000000-9", "jobs/export-a/parts/old/000000-7"),
    "mailing": ("jobs/mailing-a/recipients-x-1.jsonl",),
    "image": ("work/image-a/2.png",),
    "import": (),
    "batch": ("jobs/batch-a/items.jsonl",),
}
RESULTS: Mapping[str, str] = {
    "report": "reports/report-a/9/sales.pdf",
    "export": "jobs/export-a/orders-9.csv",
    "mailing": "jobs/mailing-a/outcomes-x-1.jsonl",
    "image": "jobs/image-a/main-abc.jpg",
    "import": "jobs/import-a/customers-rejects-1.csv",
    "batch": "jobs/batch-a/outcomes.jsonl",
}


def part(number: int) -> Part:
    return Part(number=number, key="k", rows=1, bytes=1, sha256="ab", attempt=1, last="x")


@pytest.mark.parametrize("kind", LEFT)
async def test_files_between_steps_go_and_results_only_on_request(
    kind: str, database: Database
) -> None:
    storage = Storage.open("memory:")
    others = [key.replace("-a/", "-ab/") for key in (*LEFT[kind], RESULTS[kind])]
    for key in (*LEFT[kind], RESULTS[kind], *others):
        await storage.put(key, b"12345")
    traces = Traces(storage, database)
    found = await traces.find(kind, f"{kind}-a", RUN, results=False)
    assert (found.files, found.bytes) == (len(LEFT[kind]), 5 * len(LEFT[kind]))
    assert await traces.erase(kind, f"{kind}-a", RUN, results=False) == found
    assert {o.key async for o in storage.list("")} == {RESULTS[kind], *others}
    assert (await traces.erase(kind, f"{kind}-a", RUN, results=True)).files == 1
    assert (await traces.erase(kind, f"{kind}-a", RUN, results=True)).files == 0
    assert {o.key async for o in storage.list("")} == set(others)


async def test_the_ledger_of_an_import_goes_with_it(database: Database) -> None:
    imports = Imports(database)
    for job_id in ("import-a", "import-b"):
        await imports.begin(job_id=job_id, run_id=job_id, fingerprint="f", at=datetime.now(UTC))
    erased = await Traces(Storage.open("memory:"), database).erase(
        "import", "import-a", RUN, results=False
    )
    assert erased.rows == 1
    assert await imports.position("import-a") is None
    assert await imports.position("import-b") is not None


async def test_the_ledgers_of_all_runs_of_an_export_go_with_it(database: Database) -> None:
    storage, exports = Storage.open("memory:"), Exports(database)
    for run in (RUN, "old", "other"):
        await exports.add_part(run, part(0))
    await storage.put("jobs/export-a/parts/old/000000-7", b"x")
    erased = await Traces(storage, database).erase("export", "export-a", RUN, results=False)
    assert (erased.rows, erased.files) == (2, 1)
    assert [await exports.size(run) for run in (RUN, "old", "other")] == [0, 0, 1]


async def test_a_picture_whose_results_are_erased_waits_for_another_job(
    database: Database,
) -> None:
    images = Images(database)
    await images.add(record())
    await images.claim("cat", "ada", "image-a")
    await images.complete("cat", "image-a", [MADE])
    traces = Traces(Storage.open("memory:"), database)
    assert (await traces.erase("image", "image-a", RUN, results=False)).rows == 0
    assert (await traces.erase("image", "image-a", RUN, results=True)).rows == 1
    found = await images.find("cat")
    assert found is not None
    assert (found.status, found.job_id, found.files) == (ImageStatus.PENDING, None, [])


async def test_the_ledger_of_a_batch_goes_with_it(database: Database) -> None:
    ledger = BatchLedger(database)
    for job_id in ("batch-a", "batch-b"):
        batch = await ledger.open(job_id, "email", "f", RUN)
        await ledger.write_all(batch, [BatchItem(position=0, state=ItemState.COMPLETED)])
    erased = await Traces(Storage.open("memory:"), database).erase(
        "batch", "batch-a", RUN, results=False
    )
    assert erased.rows == 2
    assert await ledger.find("batch-a") is None
    assert await ledger.size("batch-b") == 2

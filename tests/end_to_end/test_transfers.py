"""Imports and exports from the command line, on both sets of stores, through a killed worker."""

import asyncio
import csv
import gzip
import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.adapters.conftest import make_postgresql_database, open_s3, postgresql, s3
from tests.end_to_end.installation import ROOT, Installation

__all__ = ["postgresql", "s3"]  # fixtures

pytestmark = pytest.mark.slow

CUSTOMERS = ROOT / "examples" / "customers.csv"
ROWS = 400_000


@pytest.fixture(params=["SQLite and a folder", "PostgreSQL and S3"])
def stores(request: pytest.FixtureRequest, shared_server: str, tmp_path: Path) -> Installation:
    """An installation on the default stores, and one on servers, by settings alone."""
    variables = {"TEMPORAL_ADDRESS": shared_server}
    if request.param == "PostgreSQL and S3":
        folder: str = request.getfixturevalue("postgresql")
        server = request.getfixturevalue("s3")
        prefix = uuid4().hex
        asyncio.run(open_s3(server, prefix=prefix).put("made", b"the bucket"))
        variables |= {
            "CONVEYOR_DATABASE_URL": make_postgresql_database(folder),
            "CONVEYOR_STORAGE_URL": f"s3://{server.bucket}/{prefix}",
            "CONVEYOR_S3_ENDPOINT": server.endpoint,
            "CONVEYOR_S3_ACCESS_KEY_ID": server.access_key_id,
            "CONVEYOR_S3_SECRET_ACCESS_KEY": server.secret_access_key,
        }
    installation = Installation(tmp_path, variables)
    answer = installation.run("setup")
    assert answer.code == 0, answer.err
    return installation


def write_orders(path: Path) -> Path:
    """Write a file that takes some seconds to import."""
    with path.open("w") as file:
        file.write("id,customer_id,product_id,ordered_at,status,currency,country,channel,")
        file.write("amount,quantity\n")
        for number in range(ROWS):
            file.write(f"O-{number:07d},C-{number % 9},P-{number % 7},2026-01-01T09:00:00Z,")
            file.write(f"paid,EUR,DE,web,{number % 1000}.50,1\n")
    return path


def test_what_is_imported_can_be_exported(stores: Installation) -> None:
    out = stores.folder / "out.csv.gz"
    with stores.worker():
        imported = stores.run(
            "submit", "import", f"source=@{CUSTOMERS}", "target=customers", "--wait"
        )
        assert imported.code == 0, imported.err
        exported = stores.submit(
            "export", "query=customers", "compression=gzip", "--wait", "--json"
        )
        job_id = json.loads(exported)["id"]
        assert stores.run("result", job_id, "--out", str(out)).code == 0
    result = imported.json()
    assert (result["read"], result["inserted"], result["rejected"]) == (2000, 1960, 40)
    assert result["rejects"]["rows"] == 40
    with gzip.open(out, "rt") as file:
        assert len(list(csv.reader(file))) == 1961


def wait_for_rows(stores: Installation, job_id: str) -> None:
    """Return when the job has written some rows."""
    while True:
        progress = stores.status(job_id)["progress"] or {}
        if progress.get("unit") == "rows" and progress.get("done", 0) > 0:
            return


def test_an_import_whose_worker_is_killed_is_finished_by_another(stores: Installation) -> None:
    source = write_orders(stores.folder / "orders.csv")
    job_id = stores.submit("import", f"source=@{source}", "target=orders")
    with stores.worker() as first:
        wait_for_rows(stores, job_id)
        first.kill()
    with stores.worker():
        job = stores.until(job_id, "completed")
    result = job["result"]
    assert (result["read"], result["inserted"], result["updated"]) == (ROWS, ROWS, 0)

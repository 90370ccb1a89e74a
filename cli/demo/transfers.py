"""The demo's imports and exports: a file with bad rows in, a mended one, and rows out."""

import csv
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from adapters.database.shop import orders
from cli.demo.stage import Act, Stage, Unexpected, require_completed
from jobs.status import JobStatus

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "customers.csv"
ROWS: Final = 2000
BAD_ROWS: Final = 40


async def customers(stage: Stage) -> Mapping[str, Any]:
    """Customers of another system, two in a hundred of them bad."""
    stored = await stage.storage.put_file("uploads/customers.csv", EXAMPLE)
    return {"source": stored.key, "target": "customers"}


async def bad_rows_are_listed(stage: Stage, job: JobStatus) -> str:
    """See that good rows are in and bad ones are in the rejects file, each with its reason."""
    result = require_completed(job)
    counts = {name: result[name] for name in ("read", "rejected")}
    if counts != {"read": ROWS, "rejected": BAD_ROWS}:
        raise Unexpected(f"the counts are {counts}")
    path = stage.results / result["rejects"]["name"]
    await stage.storage.fetch(result["rejects"]["key"], path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file))
    if len(rejects) != BAD_ROWS or not all(row["reject_reason"] for row in rejects):
        raise Unexpected(f"{len(rejects)} rows are in the rejects file")
    taken = ROWS - BAD_ROWS
    return f"{taken:,} rows taken, {BAD_ROWS} rejected with reasons: {path}"


async def paid_orders(_: Stage) -> Mapping[str, Any]:
    """Every paid order of the demo shop, packed."""
    return {"query": "orders", "parameters": {"status": "paid"}, "compression": "gzip"}


async def every_order_is_there(stage: Stage, job: JobStatus) -> str:
    """Compare the file with its checksum and with the database."""
    result = require_completed(job)
    content = await stage.storage.get(result["file"]["key"])
    if hashlib.sha256(content).hexdigest() != result["file"]["sha256"]:
        raise Unexpected("the checksum is another than the file's")
    rows = list(csv.DictReader(gzip.decompress(content).decode().splitlines()))
    async with stage.database.snapshot() as connection:
        counted = select(func.count()).where(orders.c.status == "paid")
        expected = (await connection.execute(counted)).scalar_one()
    if not len(rows) == result["rows"] == expected:
        raise Unexpected(f"{len(rows)} rows are in the file, {expected} in the database")
    path = stage.results / result["file"]["name"]
    path.write_bytes(content)
    return f"{len(rows):,} orders of one moment: {path}"


ACTS: Final[Sequence[Act]] = (
    Act(
        title="import with bad rows",
        kind="import",
        input=customers,
        expect=bad_rows_are_listed,
    ),
    Act(title="export", kind="export", input=paid_orders, expect=every_order_is_there),
)

"""Tables into files, from both databases: the same bytes, whole, and safe to open."""

import asyncio
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl  # type: ignore[import-untyped]  # has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no types
import pytest
import zstandard
from temporalio.exceptions import ApplicationError
from typing_extensions import override

from activities.exports import ExportActivities
from adapters.database import Database
from adapters.database.shop import customers, orders
from adapters.database.transfers import Exports
from adapters.storage import Storage
from adapters.transfers import open_writer
from jobs.exports import ExportData, ExportResult, ExportSuperseded
from jobs.files import StorageUnavailable, StoredObject
from tests.transfers import Exporting, Importing, environment

INSTANT = 1767258000000000  # 2026-01-01T09:00:00Z


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"O-{number:04d}",
        "customer_id": "C-1",
        "product_id": "P-1",
        "ordered_at": INSTANT + number,
        "status": "paid",
        "currency": "EUR",
        "country": "DE",
        "channel": "web",
        "amount_minor": number * 5,
        "quantity": 1,
        **changes,
    }


@dataclass
class Wrapped:
    """A store on which something happens when a file is put."""

    storage: Storage
    before_put: Callable[[int], Awaitable[None]]
    puts: int = 0

    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        await self.before_put(self.puts)
        self.puts += 1
        return await self.storage.put_file(key, path, create=create)

    def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        return self.storage.stream(key, start=start)

    async def delete_prefix(self, prefix: str) -> int:
        return await self.storage.delete_prefix(prefix)


@dataclass
class SlowToDelete(Wrapped):
    """A store that deletes nothing before the step has told that it lives."""

    told: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def delete_prefix(self, prefix: str) -> int:
        await asyncio.wait_for(self.told.wait(), 60)
        return await self.storage.delete_prefix(prefix)


async def nothing(_: int) -> None:
    """Do nothing."""


@pytest.fixture
def storage() -> Storage:
    return Storage.open("memory:")


@pytest.fixture
def exporting(database: Database, storage: Storage) -> Exporting:
    return Exporting(database, storage)


async def fill(database: Database, *rows: dict[str, Any]) -> None:
    async with database.begin() as connection:
        await connection.execute(orders.insert(), list(rows))


async def name_customer(database: Database, name: str, customer: str = "C-1") -> None:
    row = {"id": customer, "email": "a@example.com", "name": name, "country": "DE"}
    async with database.begin() as connection:
        await connection.execute(customers.insert(), [{**row, "created_at": INSTANT}])


async def test_csv_spells_values_alike_whatever_the_database(
    exporting: Exporting, database: Database
) -> None:
    await fill(
        database,
        order(0),
        order(1, amount_minor=-5, ordered_at=INSTANT + 500_000),
        order(2, currency="JPY", amount_minor=1200, ordered_at=-1),
        order(3, currency="KWD", amount_minor=-1234, ordered_at=INSTANT + 1),
        order(4, channel='a,"b"\nc', product_id="", country="=1+1"),
    )
    result = await exporting.run()
    assert result.rows == 5
    assert (await exporting.content(result)).decode() == (
        "id,customer_id,product_id,ordered_at,status,currency,country,channel,amount,quantity\n"
        "O-0000,C-1,P-1,2026-01-01T09:00:00Z,paid,EUR,DE,web,0.00,1\n"
        "O-0001,C-1,P-1,2026-01-01T09:00:00.5Z,paid,EUR,DE,web,-0.05,1\n"
        "O-0002,C-1,P-1,1969-12-31T23:59:59.999999Z,paid,JPY,DE,web,1200,1\n"
        "O-0003,C-1,P-1,2026-01-01T09:00:00.000001Z,paid,KWD,DE,web,-1.234,1\n"
        'O-0004,C-1,"",2026-01-01T09:00:00.000004Z,paid,EUR,\'=1+1,"a,""b""\nc",0.20,1\n'
    )


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''=1", "'x", "a=b", "\\.", "é🙂"]
)
async def test_text_that_a_spreadsheet_would_run_survives_the_way_out_and_back(
    exporting: Exporting, database: Database, text: str
) -> None:
    await name_customer(database, text)
    result = await exporting.run(query="customers")
    content = await exporting.content(result)
    cell = content.decode().split(",", 6)[6]
    assert cell.lstrip('"')[:1] not in set("=+-@\t\r")

    importing = Importing(database)
    back = await importing.file("back.csv", content, target="customers", formula_guard=True)
    assert (back.unchanged, back.rejected) == (1, 0)


async def test_parameters_narrow_the_rows(exporting: Exporting, database: Database) -> None:
    await fill(database, order(1), order(2, status="refunded"), order(3, country="FR"))
    result = await exporting.run(
        parameters={"status": "paid", "country": "DE", "start": "2026-01-01T00:00:00Z"}
    )
    assert result.rows == 1
    none = await exporting.run(parameters={"end": "2026-01-01T00:00:00Z"})
    assert (none.rows, (await exporting.content(none)).count(b"\n")) == (0, 1)


async def test_packed_files_have_the_same_content_and_the_same_bytes_twice(
    exporting: Exporting, database: Database
) -> None:
    await fill(database, *(order(number) for number in range(50)))
    plain = await exporting.content(await exporting.run())
    for compression, unpack in (("gzip", gzip.decompress), ("zstd", unzstd)):
        first = await exporting.run(compression=compression)
        second = await exporting.run(compression=compression)
        packed = await exporting.content(first)
        assert unpack(packed) == plain
        assert hashlib.sha256(packed).hexdigest() == first.file.sha256 == second.file.sha256


def unzstd(packed: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    return reader.read()


async def test_json_lines_have_exact_amounts(exporting: Exporting, database: Database) -> None:
    await fill(database, order(1), order(2))
    result = await exporting.run(format="jsonl")
    lines = (await exporting.content(result)).decode().splitlines()
    assert json.loads(lines[0])["amount"] == "0.05"
    assert json.loads(lines[1])["quantity"] == 1


async def test_parquet_has_types(exporting: Exporting, database: Database) -> None:
    await fill(database, *(order(number) for number in range(1, 4)))
    result = await exporting.run(format="parquet")
    rows = pq.read_table(io.BytesIO(await exporting.content(result))).to_pylist()
    assert len(rows) == result.rows == 3
    assert rows[2]["amount"] == Decimal("0.15")
    assert rows[0]["ordered_at"] == datetime.fromisoformat("2026-01-01T09:00:00.000001+00:00")


async def test_a_sheet_has_dates_numbers_and_no_formulas(
    exporting: Exporting, database: Database
) -> None:
    await fill(database, order(0, channel="=HYPERLINK(1)", amount_minor=1999))
    result = await exporting.run(format="xlsx", formula_guard=False)
    book = openpyxl.load_workbook(io.BytesIO(await exporting.content(result)))
    header, row = book.worksheets[0].iter_rows()
    values = dict(zip((cell.value for cell in header), row, strict=True))
    assert values["ordered_at"].value == datetime(2026, 1, 1, 9)  # noqa: DTZ001 - a sheet knows no zone
    assert values["amount"].value == pytest.approx(19.99)
    assert (values["channel"].value, values["channel"].data_type) == ("=HYPERLINK(1)", "s")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"compression": "zstd"}])
async def test_a_resumed_export_goes_on_after_its_last_part_and_has_every_row_once(
    exporting: Exporting, database: Database, storage: Storage, options: dict[str, Any]
) -> None:
    await fill(database, *(order(number) for number in range(25)))
    exporting.part_rows = 10
    plain = await exporting.content(await exporting.run())

    async def crash_at_the_third(puts: int) -> None:
        if puts == 2:
            raise StorageUnavailable("gone")

    crashing = Wrapped(storage, crash_at_the_third)
    with pytest.raises(StorageUnavailable, match="gone"):
        await Exporting(database, crashing, part_rows=10).run(run_id="r", resume=True, **options)
    result = await exporting.run(run_id="r", attempt=2, resume=True, **options)
    content = await exporting.content(result)
    unpack = {"gzip": gzip.decompress, "zstd": unzstd}.get(options.get("compression", ""), bytes)
    assert unpack(content) == plain
    assert (result.rows, result.consistency) == (25, "parts")


async def test_tidying_beats_while_the_store_takes_its_time(
    database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.exports.BEAT_INTERVAL_S", 0.01)
    slow = SlowToDelete(storage, nothing)
    await storage.put(f"jobs/{(name := uuid4().hex)}/parts/r/0", b"rows")
    surroundings = environment(name, "r")
    surroundings.on_heartbeat = lambda *_: slow.told.set()

    steps = ExportActivities(slow, Exports(database), open_writer)
    await surroundings.run(steps.tidy, ExportData(query="orders"))

    assert [stored async for stored in storage.list("jobs/")] == []


async def test_an_older_attempt_that_wakes_up_writes_no_part_twice(
    exporting: Exporting, database: Database, storage: Storage
) -> None:
    await fill(database, *(order(number) for number in range(25)))
    exporting.part_rows = 10
    finished: list[ExportResult] = []

    async def be_overtaken(puts: int) -> None:
        if puts == 0:
            finished.append(await exporting.run(run_id="r", resume=True))

    zombie = Exporting(database, Wrapped(storage, be_overtaken), part_rows=10)
    with pytest.raises(ExportSuperseded):
        await zombie.run(run_id="r", resume=True)
    assert (await exporting.content(finished[0])).count(b"\n") == 26


async def test_a_failed_export_publishes_nothing(
    exporting: Exporting, database: Database, storage: Storage
) -> None:
    await fill(database, order(1))
    async with database.begin() as connection:
        await connection.execute(orders.update().values(channel="x" * 40_000))
    with pytest.raises(ApplicationError, match="more than 32,767 characters"):
        await exporting.run(format="xlsx")
    assert [stored async for stored in storage.list("jobs/")] == []

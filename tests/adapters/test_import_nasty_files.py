"""Files made to do harm: one clear message, bounded memory, nothing half written."""

import io
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no types
import pytest
import xlsxwriter
from pydantic import ValidationError

from adapters.database import Database
from adapters.transfers import SourceFiles
from jobs.errors import PermanentError
from jobs.imports import ImportData, ImportHeaderInvalid, ImportSourceInvalid, Meter
from tests.transfers import Importing

HEADER = "id,email,name,country,created_at\n"
ADA = "C-1,ada@example.com,Ada,GB,2026-01-01T09:00:00Z\n"
MANY = "".join(ADA.replace("C-1", f"C-{number}") for number in range(5))
MEGABYTE = 1024 * 1024
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"


def workbook(*cells: tuple[int, int, str]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for row, column, value in ((0, 0, "id"), *cells):
            sheet.write(row, column, value)
    return out.getvalue()


def changed(book: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return ``book`` with another content of ``member``."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w", 8) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename == member else data)
    return out.getvalue()


def claiming(book: bytes, size: int) -> bytes:
    """Return ``book`` with a directory that claims another size of its sheet."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        real = archive.getinfo(SHEET).file_size
    return book.replace(struct.pack("<I", real), struct.pack("<I", size))


def entity_bomb(xml: bytes) -> bytes:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    declared = f'<!DOCTYPE s [<!ENTITY e0 "aaaaaaaaaa">{levels}]>'.encode()
    return declared + xml.replace(b"<t>id</t>", b"<t>&e9;</t>")


def unpacking_to_much(xml: bytes) -> bytes:
    cell = b'<row r="3"><c r="A3" t="inlineStr"><is><t>%s</t></is></c></row></sheetData>'
    return xml.replace(b"</sheetData>", cell % (b"x" * (300 * MEGABYTE)))


def parquet(rows: int = 1000, *, text: str = "") -> bytes:
    out = io.BytesIO()
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows), [text])
    pq.write_table(pa.table({"id": [f"C-{n}" for n in range(rows)], "name": names}), out)
    return out.getvalue()


NASTY = {
    "an XML bomb in a workbook": (
        "c.xlsx",
        lambda: changed(workbook(), STRINGS, entity_bomb),
        "declares XML entities",
    ),
    "a workbook that claims to unpack to 4 GB": (
        "c.xlsx",
        lambda: claiming(workbook(), 4_000_000_000),
        "unpacks to more than 1,073,741,824 bytes",
    ),
    "a workbook that unpacks to much in one cell": (
        "c.xlsx",
        lambda: changed(workbook(), SHEET, unpacking_to_much),
        "memory|more than",
    ),
    "a workbook that unpacks to more than it claims": (
        "c.xlsx",
        lambda: claiming(changed(workbook(), SHEET, unpacking_to_much), 1000),
        "damaged",
    ),
    "a sheet with one cell in its last corner": (
        "c.xlsx",
        lambda: workbook((1_048_575, 16_383, "x")),
        "too much memory or time",
    ),
    "a workbook cut in half": ("c.xlsx", lambda: workbook()[:2500], "damaged, cut short"),
    "an archive that is no workbook": (
        "c.xlsx",
        lambda: changed(workbook(), "xl/workbook.xml", lambda _: b"<x/>"),
        "no workbook|no visible sheet",
    ),
    "a Parquet file cut in half": (
        "c.parquet",
        lambda: parquet()[: len(parquet()) // 2],
        "damaged or cut short",
    ),
    "a Parquet file with a broken middle": (
        "c.parquet",
        lambda: parquet()[:100] + b"\xff" * 500 + parquet()[600:],
        "damaged or cut short",
    ),
    "a Parquet file that repeats a megabyte 4,000 times": (
        "c.parquet",
        lambda: parquet(4000, text="x" * MEGABYTE),
        "4,096 rows have more than|too much memory|unpacks to more",
    ),
    "100,000 columns": (
        "c.csv",
        (",".join(f"c{n}" for n in range(100_000)) + "\n").encode,
        "100,000 columns, 1,000 are allowed",
    ),
    "a row of two megabytes": (
        "c.csv",
        (HEADER + "C-1," + "x" * (3 * MEGABYTE) + "\n").encode,
        "line 2 has more than 1,048,576 bytes",
    ),
    "a quoted cell of 200 kB": (
        "c.csv",
        (HEADER + 'C-1,"' + "x\n" * 100_000 + '"\n').encode,
        "a cell has more than 131,072 characters",
    ),
    "a quote that never closes": (
        "c.csv",
        (HEADER + MANY + 'C-9,"' + MANY).encode,
        "a quote is opened and never closed",
    ),
    "a picture with the name of a table": (
        "c.csv",
        lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
        "is no utf-8",
    ),
}


@pytest.fixture
async def importing(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Importing]:
    """On one database: these files never reach it."""
    shutil.copyfile(migrated_sqlite, tmp_path / "conveyor.db")
    database = Database.open(f"sqlite:///{tmp_path / 'conveyor.db'}")
    yield Importing(database)
    await database.close()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make", "message"), NASTY.values(), ids=NASTY.keys())
async def test_a_nasty_file_gets_one_clear_message_and_writes_nothing(
    importing: Importing, name: str, make: Callable[[], bytes], message: str
) -> None:
    with pytest.raises(PermanentError, match=message) as raised:
        await importing.file(name, make(), target="customers", on_extra="ignore")
    assert len(raised.value.message) < 400
    assert await importing.rows("customers") == []


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """Tells the most memory that Python has held since, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def sparse(path: Path, beginning: bytes, size: int) -> Path:
    """Make a file that has ``beginning`` and then zeros, without writing them."""
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(size)
    return path


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl"])
def test_a_cell_of_a_gigabyte_is_refused_in_little_memory(
    tmp_path: Path, memory: Callable[[], int], name: str
) -> None:
    beginning = (HEADER + "C-1,").encode() if name == "c.csv" else b'{"id":"'
    path = sparse(tmp_path / "big", beginning + b"x" * MEGABYTE, 1024 * MEGABYTE)
    job = ImportData(source=name, target="customers")
    with pytest.raises(ImportSourceInvalid, match="more than 1,048,576 bytes"):
        SourceFiles().inspect(path, job, tmp_path, Meter())
    assert memory() < 30 * MEGABYTE


def test_a_header_of_100_000_columns_is_refused_in_little_memory(
    tmp_path: Path, memory: Callable[[], int]
) -> None:
    path = tmp_path / "wide"
    path.write_bytes(b",".join(b"column%d" % n for n in range(80_000)) + b"\n")
    job = ImportData(source="c.csv", target="customers")
    with pytest.raises(ImportHeaderInvalid):
        SourceFiles().inspect(path, job, tmp_path, Meter())
    assert memory() < 60 * MEGABYTE


async def test_a_nul_character_rejects_its_row_only(database: Database) -> None:
    importing = Importing(database)
    text = HEADER + ADA + ADA.replace("C-1", "C-2").replace("Ada,", "A\0da,")
    result = await importing.file("c.csv", text, target="customers")
    assert (result.inserted, result.rejected) == (1, 1)
    assert result.rejects is not None
    assert "name has a NUL character" in await importing.text(result.rejects.key)


@pytest.mark.parametrize("key", ["../c.csv", "/etc/passwd", "a/../../c.csv", "a//b", "c.csv\0", ""])
def test_tricks_in_keys_never_become_a_job(key: str) -> None:
    with pytest.raises(ValidationError):
        ImportData(source=key, target="customers")

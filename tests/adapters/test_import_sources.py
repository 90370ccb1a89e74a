"""Files of every sort read into checked chunks: formats, encodings, notations, headers."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no types
import pytest
import xlsxwriter

from adapters.transfers import SourceFiles
from jobs.imports import (
    Chunk,
    ImportData,
    ImportHeaderInvalid,
    ImportPlan,
    ImportPosition,
    ImportSourceInvalid,
    Layout,
    Meter,
)

HEADER = "id,email,name,country,created_at\n"
ADA = "C-1,ada@example.com,Ada Lovelace,GB,2026-01-01T09:00:00Z\n"
MICROS = 1767258000000000
PRODUCTS = "id,name,category,price,currency\n"


class Reading:
    """Reads files as an import would, without a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = SourceFiles()

    def inspect(self, name: str, content: bytes | str, **options: Any) -> tuple[Path, ImportPlan]:
        path = self.folder / "source"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        job = ImportData.model_validate({"source": name, "target": "customers", **options})
        layout = self.files.inspect(path, job, self.folder, Meter())
        plan = ImportPlan(job=job, source_sha256="", source_bytes=0, layout=layout)
        return self.files.text(path, plan, self.folder, Meter()), plan

    def chunks(self, name: str, content: bytes | str, **options: Any) -> list[Chunk]:
        text, plan = self.inspect(name, content, **options)
        return list(self.files.chunks(text, plan, ImportPosition(import_id="i")))

    def layout(self, name: str, content: bytes | str, **options: Any) -> Layout:
        return self.inspect(name, content, **options)[1].layout

    def one(self, name: str, content: bytes | str, **options: Any) -> Chunk:
        (chunk,) = self.chunks(name, content, **options)
        return chunk


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading(tmp_path)


def reasons(chunk: Chunk) -> list[str]:
    return [reject.reason for reject in chunk.rejects]


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
        ("latin-1", "latin1"),
        ("utf-8-sig", "cp1252"),
    ],
)
def test_a_mark_or_the_job_says_the_encoding(
    reading: Reading, encoding: str, stated: str | None
) -> None:
    text = HEADER + ADA.replace("Ada", "Zoë")
    chunk = reading.one("c.csv", text.encode(encoding), encoding=stated)
    assert chunk.columns["name"] == ["Zoë Lovelace"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_fits_the_header(reading: Reading, delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows(csv.reader([HEADER, ADA.replace("Ada", "Ada,;|x")][:1]))
    writer.writerow(["C-1", "a@example.com", "Ada,;\t|x", "GB", "2026-01-01T09:00:00Z"])
    assert reading.one("c.csv", out.getvalue()).columns["name"] == ["Ada,;\t|x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(reading: Reading, end: str) -> None:
    text = (HEADER + ADA + ADA.replace("C-1", "C-2")).replace("\n", end)
    assert reading.one("c.csv", text).columns["id"] == ["C-1", "C-2"]


def test_quoted_line_ends_are_counted_once_and_lines_stay_right(reading: Reading) -> None:
    row = 'C-{},a@example.com,"one\ntwo ""x""\nthree",{},2026-01-01T09:00:00Z\n'
    text = HEADER + "".join(row.format(number, "GB") for number in range(3)) + row.format(3, "X")
    assert reading.layout("c.csv", text).rows == 4
    chunk = reading.one("c.csv", text)
    assert chunk.columns["name"] == ['one\ntwo "x"\nthree'] * 3
    assert [(reject.row, reject.line) for reject in chunk.rejects] == [(4, 11)]


def test_empty_lines_are_no_rows_and_a_last_line_needs_no_end(reading: Reading) -> None:
    chunk = reading.one("c.csv", "\n\n" + HEADER + "\n" + ADA + "\n" + ADA.strip())
    assert (chunk.rows, chunk.rejects) == (2, [])


def test_chunks_are_cut_alike_from_any_of_their_beginnings(reading: Reading) -> None:
    body = (
        f'C-{n},a{n}@example.com,"{"x" * (n % 90)}{chr(10) * (n % 3)}é",GB,2026-01-01T09:00:00Z\n'
        for n in range(30_000)
    )
    text, plan = reading.inspect("c.csv", HEADER + "".join(body))
    chunks = list(reading.files.chunks(text, plan, ImportPosition(import_id="i")))
    assert len(chunks) > 3
    assert [key for chunk in chunks for key in chunk.columns["id"]] == [
        f"C-{n}" for n in range(30_000)
    ]
    read = 0
    for chunk in chunks[:-1]:
        read += chunk.rows
        position = ImportPosition(
            import_id="i",
            chunk=chunk.number + 1,
            byte=chunk.next_byte,
            line=chunk.next_line,
            read=read,
        )
        again = next(reading.files.chunks(text, plan, position))
        assert again == chunks[chunk.number + 1]


def test_wrong_numbers_of_cells_reject_the_row_with_its_cells(reading: Reading) -> None:
    chunk = reading.one("c.csv", HEADER + "C-1,a\n" + ADA + ADA.strip() + ",more\n")
    assert reasons(chunk) == ["has 2 cells, the header has 5", "has 6 cells, the header has 5"]
    assert list(chunk.rejects[1].original)[-1] == "more"
    assert chunk.columns["id"] == ["C-1"]


def test_quotes_out_of_order_reject_only_their_row(reading: Reading) -> None:
    chunk = reading.one("c.csv", HEADER + 'C-0,"a"b,c,"d",e\n' + ADA)
    assert "quotes out of order" in reasons(chunk)[0]
    assert chunk.columns["id"] == ["C-1"]


def test_names_of_columns_are_matched_whatever_their_case_and_spaces(reading: Reading) -> None:
    chunk = reading.one("c.csv", ADA.join([" ID ,E-Mail, Name,COUNTRY,Created At\n", ""]),
                        mapping={"e-mail": "email", "created at": "created_at"})  # fmt: skip
    assert chunk.columns["email"] == ["ada@example.com"]


def test_everything_wrong_with_the_header_is_told_at_once(reading: Reading) -> None:
    header = "id,id,emial,country,phone\n"
    with pytest.raises(ImportHeaderInvalid) as raised:
        reading.layout("c.csv", header + ADA, mapping={"Mobile": "mobil"})
    message = raised.value.message
    for part in (
        "missing: email, name, created_at",
        "more than once: id",
        "'emial' (did you mean 'email'?)",
        "'phone'",
        "mapped but not in the file: mobile",
        "mapped to no column of the target: mobil",
    ):
        assert part in message


def test_extra_columns_can_be_passed_over(reading: Reading) -> None:
    text = HEADER.strip() + ",phone\n" + ADA.strip() + ",123\n"
    chunk = reading.one("c.csv", text, on_extra="ignore")
    assert "phone" not in chunk.columns


def prices(reading: Reading, rows: Sequence[str], **options: Any) -> Chunk:
    text = PRODUCTS.replace(",", ";") + "".join(
        f"P-{n};Tea;x;{row}\n" for n, row in enumerate(rows)
    )
    return reading.one("p.csv", text, target="products", **options)


def test_amounts_are_read_with_the_stated_decimal_mark_and_nothing_is_guessed(
    reading: Reading,
) -> None:
    chunk = prices(reading, ["12,5;EUR", "0,07;EUR", "1.234,5;EUR", "12.50;EUR"], decimal=",")
    assert chunk.columns["price_minor"] == [1250, 7]
    assert reasons(chunk) == ["price is no amount with the decimal mark ','"] * 2


def test_an_amount_has_no_more_decimals_than_its_currency(reading: Reading) -> None:
    rows = ["1.00;JPY", "1.5;JPY", "1.234;KWD", "1.005;EUR", "99999999999999;EUR", "-0.01;EUR"]
    chunk = prices(reading, rows)
    assert chunk.columns["price_minor"] == [1, 1234]
    assert reasons(chunk) == [
        "price has 1 decimals, JPY has 0",
        "price has 3 decimals, EUR has 2",
        "price is not less than 10000000000000",
        "price is less than 0",
    ]


def dated(reading: Reading, *cells: str, **options: Any) -> Chunk:
    rows = (f'C-{n},a@example.com,A,GB,"{cell}"\n' for n, cell in enumerate(cells))
    return reading.one("c.csv", HEADER + "".join(rows), **options)


def test_a_stated_date_format_is_the_only_one(reading: Reading) -> None:
    chunk = dated(
        reading,
        "01.01.2026 10:00",
        "2026-01-01T09:00:00Z",
        date_format="%d.%m.%Y %H:%M",
        time_zone="Europe/Berlin",
    )
    assert chunk.columns["created_at"] == [MICROS]
    assert reasons(chunk) == ["created_at is no date-time written as %d.%m.%Y %H:%M"]


def test_a_time_without_offset_needs_a_zone(reading: Reading) -> None:
    assert reasons(dated(reading, "2026-01-01T09:00:00")) == [
        "created_at has no offset: state the file's time_zone"
    ]


def test_local_times_that_clocks_skip_or_repeat_are_rejected(reading: Reading) -> None:
    chunk = dated(
        reading,
        "2026-03-29T02:30:00",
        "2026-10-25T02:30:00",
        "2026-10-25T02:30:00+02:00",
        time_zone="Europe/Berlin",
    )
    assert [reason.split(",")[0] for reason in reasons(chunk)] == [
        "created_at does not exist in Europe/Berlin",
        "created_at exists twice in Europe/Berlin",
    ]
    assert len(chunk.columns["created_at"]) == 1


def test_json_lines_are_rows_and_each_bad_one_says_why(reading: Reading) -> None:
    good = (
        '{"id":"C-1","email":"a@example.com","name":"Zo\\u00eb","country":"GB",'
        '"created_at":"2026-01-01T09:00:00Z"}\n'
    )
    bad = ['{"id":1', "[1]", '{"id":{"a":1}}', '{"idd":"x"}', '{"id":NaN}', "[" * 100_000]
    chunk = reading.one("c.jsonl", good + "".join(f"{line}\n" for line in bad))
    assert chunk.columns["name"] == ["Zoë"]
    assert [reason.split(",")[0] for reason in reasons(chunk)] == [
        "is no JSON object",
        "is no JSON object",
        "field 'id' has an object or a list",
        "has an unknown field 'idd'",
        "has the number NaN",
        "is no JSON object",
    ]


def test_half_of_a_surrogate_pair_is_no_text(reading: Reading) -> None:
    line = '{"id":"C-1","email":"a@example.com","name":"\\ud800","country":"GB"}\n'
    assert reasons(reading.one("c.jsonl", line)) == ["is no JSON object"]


def test_json_numbers_are_exact(reading: Reading) -> None:
    line = '{"id":"P-1","name":"Tea","category":"x","price":1234567890123.45,"currency":"EUR"}\n'
    chunk = reading.one("p.jsonl", line, target="products", decimal=",")
    assert chunk.columns["price_minor"] == [123456789012345]


def sheet(rows: Sequence[Sequence[Any]], folder: Path) -> bytes:
    path = folder / "book.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        hidden = book.add_worksheet("notes")
        hidden.hide()
        hidden.write(0, 0, "not this one")
        shown = book.add_worksheet("rows")
        shown.activate()
        for number, row in enumerate(rows):
            shown.write_row(number, 0, row)
    return path.read_bytes()


def test_the_first_visible_sheet_is_read_with_its_types(reading: Reading) -> None:
    rows: list[list[Any]] = [
        ["id", "name", "category", "price", "currency"],
        [17, "Tea", "drinks", 12.5, "EUR"],
        [],
        ["P-2", "Rice", "food", "1,25", "EUR"],
        ["P-3", "Salt", "food", "cheap", "EUR"],
    ]
    chunk = reading.one("p.xlsx", sheet(rows, reading.folder), target="products", decimal=",")
    assert chunk.columns["id"] == ["17", "P-2"]
    assert chunk.columns["price_minor"] == [1250, 125]
    assert [(reject.row, reject.line) for reject in chunk.rejects] == [(3, 5)]


def test_dates_of_a_sheet_are_in_the_stated_zone(reading: Reading) -> None:
    moment = datetime(2026, 1, 1, 10)  # noqa: DTZ001 - a sheet knows no zone
    rows: list[list[Any]] = [HEADER.strip().split(","), ["C-1", "a@example.com", "A", "GB", moment]]
    content = sheet(rows, reading.folder)
    chunk = reading.one("c.xlsx", content, time_zone="Europe/Berlin", date_format="%d.%m.%Y")
    assert chunk.columns["created_at"] == [MICROS]


def parquet(columns: dict[str, Any], folder: Path, **options: Any) -> bytes:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path.read_bytes()


def test_parquet_is_read_with_its_types(reading: Reading) -> None:
    columns = {
        "id": pa.array([1, 2]),
        "name": ["Tea", "Rice"],
        "category": pa.array(["x", "y"]).dictionary_encode(),
        "price": [Decimal("12.50"), Decimal("0.07")],
        "currency": ["EUR", "EUR"],
        "since": pa.array([date(2026, 1, 1), None]),
    }
    content = parquet(columns, reading.folder)
    chunk = reading.one("p.parquet", content, target="products", on_extra="ignore")
    assert chunk.columns["id"] == ["1", "2"]
    assert chunk.columns["price_minor"] == [1250, 7]


def test_instants_of_parquet_keep_their_microseconds(reading: Reading) -> None:
    instant = datetime(2026, 1, 1, 9, 0, 0, 5, tzinfo=UTC)
    columns = {
        "id": ["C-1"],
        "email": ["a@example.com"],
        "name": ["A"],
        "country": ["GB"],
        "created_at": pa.array([instant], pa.timestamp("ns", "Europe/Berlin")),
    }
    chunk = reading.one("c.parquet", parquet(columns, reading.folder))
    assert chunk.columns["created_at"] == [MICROS + 5]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("c.csv", b"", {}, "is empty"),
        ("c.csv", b"\xef\xbb\xbf", {}, "no header"),
        ("c.csv", b"PK\x03\x04rest", {}, "content is xlsx, but the name .csv says csv"),
        ("c.xlsx", b"id,name\n", {}, "no xlsx file, or its beginning is damaged"),
        ("c.bin", b"PAR1rest", {"format": "csv"}, "content is parquet, but format=csv says csv"),
        ("c.csv", b"\x1f\x8b\x08", {}, "compressed with gzip: unpack it first"),
        ("c.xls", b"\xd0\xcf\x11\xe0", {}, "old Excel"),
        ("c.csv", "id".encode("utf-16-le") * 50, {}, "looks like UTF-16"),
        ("c.csv", b"id,name\n1,Zo\xeb\n", {}, "line 2 has the byte 0xEB"),
        ("c.csv", HEADER.encode() + b'1,"2\n' * 3, {}, "line 4: a quote is opened and never"),
        ("c.csv", HEADER.encode() + "é".encode()[:1], {}, "ends within a character"),
        ("c.csv", b'"id', {}, "header has a quote that is never closed"),
    ],
)
def test_a_file_that_is_not_what_it_says_gets_one_clear_message(
    reading: Reading, name: str, content: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImportSourceInvalid, match=message):
        reading.layout(name, content, **options)

"""Writes exports into files of this machine, in constant memory. All of it blocks.

The same rows give the same bytes: nothing of the time or place of writing is in a file.
"""

import gzip
import json
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, Protocol

from adapters.transfers.formulas import guard
from adapters.transfers.spelling import csv_lines, records
from jobs.currencies import minor_digits
from jobs.exports import (
    QUERIES,
    Column,
    Compression,
    ExportData,
    ExportFormat,
    ExportTooLarge,
    ExportUnsupported,
    Kind,
    Page,
)

GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 3
XLSX_ROWS: Final = 1_048_575
"""Rows of a sheet, less its header."""
XLSX_CHARACTERS: Final = 32_767
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CREATED: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""What every XLSX file says, so that equal rows give equal bytes."""
DECIMALS: Final = 4


class Writer(Protocol):
    """A file being written."""

    def write(self, data: Page | bytes) -> None:
        """Add rows, or lines that are written already."""
        ...

    def close(self) -> None:
        """End the file."""
        ...


def open_writer(path: Path, job: ExportData, *, header: bool = True) -> Writer:
    """Begin the file of ``job`` at ``path``; ``header=False`` for any part but the first.

    Raises:
        ExportUnsupported: the format needs a library that isn't installed.
    """
    match job.format:
        case ExportFormat.CSV | ExportFormat.JSONL:
            return TextWriter(path, job, header=header)
        case ExportFormat.PARQUET:
            return ParquetWriter(path, job)
        case ExportFormat.XLSX:
            return XlsxWriter(path, job)


class TextWriter:
    """CSV with a header, or one JSON object a line; packed if the job says so."""

    def __init__(self, path: Path, job: ExportData, *, header: bool) -> None:
        self._columns = QUERIES[job.query].columns
        self._job = job
        self._files = ExitStack()
        raw = self._files.enter_context(path.open("wb"))
        self._file = self._files.enter_context(_packed(raw, job.compression))
        if header and job.format is ExportFormat.CSV:
            self._file.write((",".join(column.name for column in self._columns) + "\n").encode())

    def write(self, data: Page | bytes) -> None:
        """Add rows, or lines that are written already."""
        self._file.write(data if isinstance(data, bytes) else self._lines(data))

    def _lines(self, page: Page) -> bytes:
        if self._job.format is ExportFormat.CSV:
            return csv_lines(page, self._columns, guarded=self._job.formula_guard)
        dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        return "".join(f"{dump(record)}\n" for record in records(page, self._columns)).encode()

    def close(self) -> None:
        """End the file."""
        self._files.close()


def _packed(raw: IO[bytes], compression: Compression) -> IO[bytes]:
    match compression:
        case Compression.NONE:
            return raw
        case Compression.GZIP:
            return gzip.GzipFile(  # type: ignore[return-value]  # is one in all but name
                filename="", fileobj=raw, mode="wb", compresslevel=GZIP_LEVEL, mtime=0
            )
        case Compression.ZSTD:
            try:
                import zstandard
            except ImportError:
                msg = "zstd needs zstandard: pip install zstandard on the workers"
                raise ExportUnsupported(msg) from None
            packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
            return packer.stream_writer(raw, closefd=False)


class ParquetWriter:
    """Columns with types: instants as UTC timestamps, amounts as decimals."""

    def __init__(self, path: Path, job: ExportData) -> None:
        try:
            import pyarrow as pa  # type: ignore[import-untyped]  # an extra, without types
            import pyarrow.parquet as pq  # type: ignore[import-untyped]  # as above
        except ImportError:
            msg = "Parquet needs pyarrow: pip install pyarrow on the workers"
            raise ExportUnsupported(msg) from None
        self._pa = pa
        self._columns = QUERIES[job.query].columns
        types = {
            Kind.TEXT: pa.string(),
            Kind.NUMBER: pa.int64(),
            Kind.INSTANT: pa.timestamp("us", "UTC"),
            Kind.AMOUNT: pa.decimal128(19 + DECIMALS, DECIMALS),
        }
        self._schema = pa.schema([(column.name, types[column.kind]) for column in self._columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, data: Page | bytes) -> None:
        """Add rows, as one row group."""
        if isinstance(data, bytes):
            raise TypeError("lines of text are no rows of Parquet")
        arrays = [
            self._pa.array(self._values(data, column), type=field.type)
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))

    def _values(self, page: Page, column: Column) -> Sequence[Any]:
        values = page.columns[column.name]
        if column.kind is not Kind.AMOUNT:
            return values
        return [
            None if minor is None else Decimal(minor).scaleb(-minor_digits(currency))
            for minor, currency in zip(values, page.columns[column.currency], strict=True)
        ]

    def close(self) -> None:
        """End the file."""
        self._writer.close()


class XlsxWriter:
    """One sheet with a header; dates are UTC."""

    def __init__(self, path: Path, job: ExportData) -> None:
        import xlsxwriter

        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._guarded = job.formula_guard
        self._columns = QUERIES[job.query].columns
        self._book = xlsxwriter.Workbook(path, options)
        self._book.set_properties({"created": CREATED})
        self._sheet = self._book.add_worksheet(job.query)
        self._instant = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._amounts = {
            digits: self._book.add_format({"num_format": f"0.{'0' * digits}".rstrip(".")})
            for digits in range(DECIMALS + 1)
        }
        self._sheet.freeze_panes(1, 0)
        bold = self._book.add_format({"bold": True})
        for place, column in enumerate(self._columns):
            self._sheet.write_string(0, place, column.name, bold)
        self._rows = 0

    def write(self, data: Page | bytes) -> None:
        """Add rows.

        Raises:
            ExportTooLarge: a sheet can't hold so many.
        """
        if isinstance(data, bytes):
            raise TypeError("lines of text are no rows of a sheet")
        if self._rows + data.rows > XLSX_ROWS:
            msg = f"a sheet holds {XLSX_ROWS:,} rows: narrow the parameters, or export as CSV"
            raise ExportTooLarge(msg)
        for index in range(data.rows):
            self._rows += 1
            for place, column in enumerate(self._columns):
                self._write_cell(place, column, data, index)

    def _write_cell(self, place: int, column: Column, page: Page, index: int) -> None:
        value = page.columns[column.name][index]
        if value is None:
            return
        match column.kind:
            case Kind.TEXT:
                text = guard([value])[0] if self._guarded else value
                if len(text) > XLSX_CHARACTERS:
                    msg = f"{column.name} has a text of more than {XLSX_CHARACTERS:,} characters"
                    raise ExportTooLarge(f"{msg}, which a sheet can't hold: export as CSV")
                self._sheet.write_string(self._rows, place, text)
            case Kind.NUMBER:
                self._sheet.write_number(self._rows, place, value)
            case Kind.INSTANT:
                instant = EPOCH + timedelta(microseconds=value)
                self._sheet.write_datetime(
                    self._rows, place, instant.replace(tzinfo=None), self._instant
                )
            case Kind.AMOUNT:
                digits = minor_digits(page.columns[column.currency][index])
                self._sheet.write_number(
                    self._rows, place, value / 10**digits, self._amounts[digits]
                )

    def close(self) -> None:
        """End the file."""
        self._book.close()

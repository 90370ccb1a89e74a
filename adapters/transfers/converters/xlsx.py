"""Turns the first visible sheet of an XLSX file into UTF-8 CSV: ``xlsx.py SOURCE TARGET MARK``.

Prints the number of rows done now and then. Ends with 3 and one line on stderr if the file can't
be read.
"""

import csv
import datetime
import resource
import sys
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
)

MEMORY_BYTES: Final = 1536 * 1024 * 1024
CPU_S: Final = 600
MAX_UNPACKED_BYTES: Final = 1024 * 1024 * 1024
MAX_COLUMNS: Final = 1000
PROLOG_BYTES: Final = 4096
ROWS_PER_TICK: Final = 5000
EXACT: Final = 10**15
"""Whole numbers below this are exact in a spreadsheet."""

REFUSED: Final = 3


class RefusedError(Exception):
    """The file can't be converted; the message says why."""


def main(source: str, target: str, mark: str) -> int:
    """Convert; returns the exit code."""
    with suppress(ValueError, OSError):  # a system without these limits
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        check_archive(source)
        workbook = CalamineWorkbook.from_path(source)
        write(first_sheet(workbook), Path(target), mark)
    except RefusedError as error:
        reason = str(error)
    # zipfile: NotImplementedError for an unknown compression, RuntimeError for a password
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError):
        reason = "the XLSX file is damaged, cut short or encrypted"
    except CalamineError:
        reason = "the XLSX file is damaged, encrypted or no workbook"
    except MemoryError:
        reason = "the sheet needs too much memory: save it as CSV"
    else:
        return 0
    sys.stderr.write(reason)
    return REFUSED


def check_archive(source: str) -> None:
    """Refuse an archive that unpacks to too much, or whose XML declares entities."""
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
            msg = f"the XLSX file unpacks to more than {MAX_UNPACKED_BYTES:,} bytes"
            raise RefusedError(msg)
        for member in members:
            if member.filename.endswith((".xml", ".rels")):
                with archive.open(member) as file:
                    prolog = file.read(PROLOG_BYTES)
                if b"<!DOCTYPE" in prolog or b"<!ENTITY" in prolog:
                    msg = "the XLSX file declares XML entities, which no spreadsheet program does"
                    raise RefusedError(msg)


def first_sheet(workbook: CalamineWorkbook) -> CalamineSheet:
    """Return the first sheet that a person sees."""
    for sheet in workbook.sheets_metadata:
        if sheet.typ is SheetTypeEnum.WorkSheet and sheet.visible is SheetVisibleEnum.Visible:
            return workbook.get_sheet_by_name(sheet.name)
    raise RefusedError("the XLSX file has no visible sheet")


def write(sheet: CalamineSheet, target: Path, mark: str) -> None:
    """Write the rows of ``sheet``; an empty one as an empty line, so that lines stay rows."""
    if sheet.width > MAX_COLUMNS:
        msg = f"the sheet has {sheet.width:,} columns, {MAX_COLUMNS:,} are allowed"
        raise RefusedError(msg)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, row in enumerate(sheet.iter_rows(), start=1):
            cells = [spelled(value, mark) for value in row]
            if any(cells):
                writer.writerow(cells)
            else:
                file.write("\n")
            if number % ROWS_PER_TICK == 0:
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()


def spelled(value: object, mark: str) -> str:
    """Return a cell as text: whole numbers without decimals, dates of ISO 8601."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if value.is_integer() and abs(value) < EXACT:
                return str(int(value))
            return repr(value).replace(".", mark)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


def run(arguments: Sequence[str]) -> int:
    """Run on a command line."""
    source, target, mark = arguments
    return main(source, target, mark)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

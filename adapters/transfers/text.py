"""Reads UTF-8 text in blocks of whole rows, from any byte at which a row begins.

Memory is bounded by the block, not by the file. A block's end depends on nothing but its beginning,
so that every attempt cuts the same file into the same chunks.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from pathlib import Path
from typing import Any, BinaryIO, Final

from jobs.imports import ImportData, ImportSourceInvalid, Layout, OnExtra

BLOCK_BYTES: Final = 512 * 1024
"""About 5,000 rows of ten columns: one transaction."""
MAX_ROW_BYTES: Final = 1024 * 1024
UNFINISHED: Final = "unexpected end of data"
"""What the csv module says of a quote that is still open."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row as a whole."""

    line: int
    cells: list[str]
    """As read; the whole text as one cell if it can't be cut into cells."""
    reason: str


@dataclass(slots=True, kw_only=True)
class Block:
    """Some rows, in order, as columns of text."""

    cells: Sequence[Sequence[str]]
    """By column of the file."""
    lines: Sequence[int]
    """Line at which each row of ``cells`` begins."""
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """Rows that can't be read, by index among all rows of the block."""
    next_byte: int = 0
    next_line: int = 0

    @property
    def count(self) -> int:
        """Number of rows, good or not."""
        return len(self.lines) + len(self.faults)


@dataclass(slots=True)
class Gathering:
    """Rows read one by one."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)

    def fail(self, line: int, cells: list[str], reason: str) -> None:
        """Add a row that can't be read."""
        self.faults[len(self.rows) + len(self.faults)] = Fault(line, cells, reason)

    def block(self, width: int) -> Block:
        """Return the rows as columns."""
        cells = list(zip(*self.rows, strict=True)) or [()] * width
        return Block(cells=cells, lines=self.lines, faults=self.faults)


def read_blocks(
    path: Path, layout: Layout, job: ImportData, *, byte: int, line: int
) -> Iterator[Block]:
    """Yield the rows of the UTF-8 text at ``path`` from ``byte`` on, which is in ``line``.

    Raises:
        ImportSourceInvalid: from some row on, the text can't be cut into rows.
    """
    with path.open("rb") as file:
        while True:
            data, at_end = _whole_lines(file, byte, line)
            if not data:
                return
            text = data.decode()
            if layout.delimiter:
                block, lines_used = _parse_csv(text, layout, line, at_end=at_end)
                if lines_used == 0:  # one row is longer than the block
                    data, at_end = _whole_lines(file, byte, line, size=MAX_ROW_BYTES)
                    block, lines_used = _parse_csv(data.decode(), layout, line, at_end=at_end)
                    if lines_used == 0:
                        raise too_long(line)
            else:
                block, lines_used = _parse_json(text, layout, job, line)
            byte += _length_of_lines(data, lines_used)
            line += lines_used
            block.next_byte, block.next_line = byte, line
            yield block


def _whole_lines(
    file: BinaryIO, byte: int, line: int, size: int = BLOCK_BYTES
) -> tuple[bytes, bool]:
    """Return complete lines from ``byte`` on, about ``size`` bytes, and whether they are all."""
    file.seek(byte)
    data = file.read(size)
    if len(data) < size:
        return data, True
    if end := data.rfind(b"\n") + 1:
        return data[:end], False
    data += file.read(MAX_ROW_BYTES - len(data) + 1)
    if end := data.find(b"\n", size) + 1:
        return data[:end], False
    if len(data) > MAX_ROW_BYTES:
        raise too_long(line)
    return data, True


def too_long(line: int) -> ImportSourceInvalid:
    """Return the error of a row that is too long to be one."""
    return ImportSourceInvalid(
        f"the row that begins in line {line} has more than {MAX_ROW_BYTES:,} bytes: "
        "is a quote missing, or is this another format?"
    )


def _parse_csv(text: str, layout: Layout, first: int, *, at_end: bool) -> tuple[Block, int]:
    """Return the complete rows of ``text`` and how many lines they take."""
    plain = _split_plain(text, layout, first)
    if plain is not None:
        return plain, len(plain.lines)
    gathered, used = _read_quoted(text, layout, first, at_end=at_end)
    return gathered.block(len(layout.headers)), used


def _split_plain(text: str, layout: Layout, first: int) -> Block | None:
    """Return the rows of a text without quotes, empty lines or missing cells, in a few calls.

    It makes no object for a row, which halves the time of a chunk.
    """
    if '"' in text:
        return None
    text = text.removesuffix("\n").replace("\r\n", "\n").removesuffix("\r")
    lines, width = text.split("\n"), len(layout.headers)
    counts = set(map(methodcaller("count", layout.delimiter), lines))
    if "\r" in text or counts != {width - 1} or (width == 1 and "" in lines):
        return None
    cells = text.replace("\n", layout.delimiter).split(layout.delimiter)
    return Block(
        cells=[cells[place::width] for place in range(width)],
        lines=range(first, first + len(lines)),
    )


def _read_quoted(text: str, layout: Layout, first: int, *, at_end: bool) -> tuple[Gathering, int]:
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=layout.delimiter, strict=True)
    gathered, width = Gathering(), len(layout.headers)
    rows, lines = gathered.rows, gathered.lines
    used = 0
    while True:
        try:
            for row in reader:
                if len(row) == width:
                    rows.append(row)
                    lines.append(first + used)
                elif row:  # an empty line is no row
                    reason = f"has {len(row)} cells, the header has {width}"
                    gathered.fail(first + used, row, reason)
                used = reader.line_num
        except csv.Error as error:
            if str(error) == UNFINISHED:
                if not at_end:
                    return gathered, used
                msg = f"line {first + used}: a quote is opened and never closed"
                raise ImportSourceInvalid(msg) from None
            if "field limit" in str(error):
                msg = (
                    f"line {first + used}: a cell has more than {csv.field_size_limit():,} "
                    "characters: is a quote missing?"
                )
                raise ImportSourceInvalid(msg) from None
            broken = text.split("\n")[used : reader.line_num]
            reason = "has quotes out of order: a quote inside of quotes is written twice"
            gathered.fail(first + used, ["\n".join(broken).rstrip("\r")], reason)
            used = reader.line_num
        else:
            return gathered, used


class _NotFlatError(ValueError):
    """A value of JSON that is no cell."""


def _parse_json(text: str, layout: Layout, job: ImportData, first: int) -> tuple[Block, int]:
    gathered = Gathering()
    known = set(layout.headers) if job.on_extra is OnExtra.REJECT else None
    lines = text.removesuffix("\n").split("\n")
    for line, written in enumerate(lines, start=first):
        if not written.strip():
            continue
        try:
            row = json.loads(
                written,
                parse_float=lambda number: number.replace(".", job.decimal),
                parse_int=str,
                parse_constant=_refuse_constant,
            )
            cells = _cells(row, layout.headers, known)
        except _NotFlatError as error:
            gathered.fail(line, [written], str(error))
        except (ValueError, RecursionError):
            gathered.fail(line, [written], "is no JSON object")
        else:
            gathered.rows.append(cells)
            gathered.lines.append(line)
    return gathered.block(len(layout.headers)), len(lines)


def _cells(row: Any, headers: tuple[str, ...], known: set[str] | None) -> list[str]:
    if not isinstance(row, dict):
        raise _NotFlatError("is no JSON object")
    if known is not None and (unknown := row.keys() - known):
        raise _NotFlatError(f"has an unknown field {min(unknown)[:80]!r}")
    return [_cell(row.get(header), header) for header in headers]


def _cell(value: Any, header: str) -> str:
    match value:
        case str():
            if not value.isascii():
                value.encode()  # half a surrogate pair is no text: UnicodeEncodeError, a ValueError
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            raise _NotFlatError(f"field {header!r} has an object or a list, not a single value")


def _refuse_constant(name: str) -> Mapping[str, Any]:
    raise _NotFlatError(f"has the number {name}, which JSON doesn't know")


def _length_of_lines(data: bytes, count: int) -> int:
    """Return how many bytes the first ``count`` lines have."""
    total = data.count(b"\n") + (not data.endswith(b"\n"))
    if count >= total:
        return len(data)
    end = -1
    if total - count < count:
        end = len(data) if data.endswith(b"\n") else len(data) + 1
        for _ in range(total - count + 1):
            end = data.rfind(b"\n", 0, end)
        return end + 1
    for _ in range(count):
        end = data.find(b"\n", end + 1)
    return end + 1

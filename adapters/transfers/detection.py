"""Finds out what a file is, before any row is read: format, encoding, delimiter, columns.

A byte order mark decides the encoding, else the job does, else it is UTF-8; nothing is guessed. The
delimiter is the one that fits the header best.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from adapters.transfers.text import MAX_ROW_BYTES, UNFINISHED, too_long
from jobs.imports import (
    TARGETS,
    ImportData,
    ImportFormat,
    ImportHeaderInvalid,
    ImportSourceInvalid,
    OnExtra,
    Target,
)
from jobs.validation import nearest

HEAD_BYTES: Final = 64 * 1024
MAX_COLUMNS: Final = 1000
NAMED: Final = 20
"""Columns that a message names at most."""

EXTENSIONS: Final = {
    ".csv": ImportFormat.CSV,
    ".tsv": ImportFormat.TSV,
    ".tab": ImportFormat.TSV,
    ".jsonl": ImportFormat.JSONL,
    ".ndjson": ImportFormat.JSONL,
    ".xlsx": ImportFormat.XLSX,
    ".parquet": ImportFormat.PARQUET,
}
MAGIC: Final = {b"PK\x03\x04": ImportFormat.XLSX, b"PAR1": ImportFormat.PARQUET}
FOREIGN: Final = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first",
    b"\xd0\xcf\x11\xe0": "is an old Excel or other Office file: save it as .xlsx",
    b"%PDF": "is a PDF: export the table as CSV",
    b"SQLite format 3": "is an SQLite database: export the table as CSV",
    b"\xff\xfe\x00\x00": "is UTF-32: save it as UTF-8",
    b"\x00\x00\xfe\xff": "is UTF-32: save it as UTF-8",
}
MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
DELIMITERS: Final = ",;\t|"

REJECT_COLUMNS: Final = ("reject_row", "reject_column", "reject_value", "reject_reason")
"""What a rejects file has before the columns of its source; passed over when it is imported."""


def detect_format(key: str, head: bytes, job: ImportData) -> ImportFormat:
    """Return the format that content and name, or content and job, agree on.

    Raises:
        ImportSourceInvalid: they don't agree, or the content is nothing that can be imported.
    """
    for magic, fault in FOREIGN.items():
        if head.startswith(magic):
            raise ImportSourceInvalid(f"the file {fault}")
    if not head.strip():
        raise ImportSourceInvalid("the file is empty")
    content = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    named = EXTENSIONS.get(Path(key).suffix.lower())
    stated = job.format or named
    binary = {ImportFormat.XLSX, ImportFormat.PARQUET}
    if content is None and stated not in binary:
        return stated or _text_format(head)
    if content is not None and stated in {None, content}:
        return content
    says = f"format={job.format}" if job.format else f"the name {Path(key).suffix}"
    found = content or "text"
    if content is None and stated is not None:
        found = f"no {stated} file, or its beginning is damaged"
    msg = f"the content is {found}, but {says} says {stated}: name it rightly, or state the format"
    raise ImportSourceInvalid(msg)


def _text_format(head: bytes) -> ImportFormat:
    return ImportFormat.JSONL if head.lstrip().startswith(b"{") else ImportFormat.CSV


def detect_encoding(head: bytes, job: ImportData) -> str:
    """Return the encoding of a text file.

    Raises:
        ImportSourceInvalid: it looks like another than is said.
    """
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    encoding = job.encoding or "utf-8"
    zeros = head.count(b"\0")
    if not encoding.startswith("utf-16") and zeros > len(head) // 4:
        msg = "the file looks like UTF-16 without a byte order mark, or is no text: state encoding"
        raise ImportSourceInvalid(msg)
    return encoding


def detect_delimiter(text: str, job: ImportData, kind: ImportFormat) -> str:
    """Return the delimiter whose header has most of the target's columns, else most columns."""
    if job.delimiter is not None:
        return job.delimiter
    if kind is ImportFormat.TSV:
        return "\t"
    known = {_folded(name) for name in (*TARGETS[job.target].fields, *job.mapping)}

    def fit(delimiter: str) -> tuple[int, int]:
        try:
            header, _ = read_header(text, delimiter)
        except ImportSourceInvalid:
            return -1, 0
        return sum(_folded(name) in known for name in header), len(header)

    return max(DELIMITERS, key=fit)


def read_header(text: str, delimiter: str) -> tuple[list[str], int]:
    """Return the first row of ``text`` that isn't empty, and how many lines it ends after.

    Raises:
        ImportSourceInvalid: there is none.
    """
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                return row, reader.line_num
    except csv.Error as error:
        if str(error) == UNFINISHED and len(text.encode()) > MAX_ROW_BYTES:
            raise too_long(1) from None
        msg = "the header has a quote that is never closed, or quotes out of order"
        raise ImportSourceInvalid(msg) from None
    raise ImportSourceInvalid("the file has no header")


def match_header(headers: Sequence[str], job: ImportData) -> tuple[str | None, ...]:
    """Return the target's field for each header; None where the column is passed over.

    Upper and lower case and spaces around a name don't matter.

    Raises:
        ImportHeaderInvalid: everything that doesn't fit, at once.
    """
    if len(headers) > MAX_COLUMNS:
        msg = f"the file has {len(headers):,} columns, {MAX_COLUMNS:,} are allowed"
        raise ImportHeaderInvalid(msg)
    target = TARGETS[job.target]
    known = {_folded(name): name for name in target.fields}
    mapping = {_folded(name): field for name, field in job.mapping.items()}
    columns: list[str | None] = []
    extra: list[str] = []
    for header in headers:
        name = _folded(header)
        field = mapping.get(name, known.get(name))
        columns.append(field)
        if field is None and name not in REJECT_COLUMNS:
            extra.append(header.strip() or "(no name)")
    problems = _misfits(headers, columns, mapping, target)
    if extra and job.on_extra is OnExtra.REJECT:
        hints = [_hint(name, target, columns) for name in extra]
        problems.append(
            f"unknown: {_listed(hints)}; map them, or state on_extra=ignore to pass over them"
        )
    if problems:
        raise ImportHeaderInvalid(f"the columns don't fit {target.name}. " + ". ".join(problems))
    return tuple(columns)


def _misfits(
    headers: Sequence[str],
    columns: Sequence[str | None],
    mapping: Mapping[str, str],
    target: Target,
) -> list[str]:
    problems = []
    folded = {_folded(header) for header in headers}
    if absent := [name for name in mapping if name not in folded]:
        problems.append(f"mapped but not in the file: {_listed(absent)}")
    if wrong := sorted({field for field in mapping.values() if field not in target.fields}):
        hints = [f"{name} ({nearest(name, list(target.fields))})" for name in wrong]
        problems.append(f"mapped to no column of the target: {_listed(hints)}")
    if missing := [name for name in target.required if name not in columns]:
        problems.append(f"missing: {_listed(missing)}")
    counts = Counter(column for column in columns if column is not None)
    if double := [name for name, count in counts.items() if count > 1]:
        problems.append(f"more than once: {_listed(double)}")
    return problems


def _hint(name: str, target: Target, columns: Sequence[str | None]) -> str:
    free = [field for field in target.fields if field not in columns]
    guess = nearest(name.casefold(), free) if free else ""
    return f"{name[:80]!r} ({guess})" if guess.startswith("did") else repr(name[:80])


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"

"""Turns a file to import into UTF-8 text and a layout; all of it blocks: run it in a thread."""

import codecs
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from adapters.transfers.detection import (
    HEAD_BYTES,
    REJECT_COLUMNS,
    detect_delimiter,
    detect_encoding,
    detect_format,
    match_header,
    read_header,
)
from adapters.transfers.rejects import RejectsWriter
from adapters.transfers.rows import read_chunks
from adapters.transfers.text import MAX_ROW_BYTES, read_blocks, too_long
from jobs.imports import (
    TARGETS,
    Chunk,
    ImportData,
    ImportFormat,
    ImportPlan,
    ImportPosition,
    ImportSourceChanged,
    ImportSourceInvalid,
    Layout,
    Meter,
)

PART_BYTES: Final = 1024 * 1024
UTF8: Final = {"utf-8", "utf-8-sig", "ascii"}
CONVERTERS: Final = Path(__file__).with_name("converters")
"""Programs that turn a binary table into CSV."""
REFUSED: Final = (3, 4)
"""Their exit codes when stderr says why."""
UTF8_MARK: Final = b"\xef\xbb\xbf"


class SourceFiles:
    """Files to import, on this machine's disk."""

    def inspect(self, path: Path, job: ImportData, scratch: Path, meter: Meter) -> Layout:
        """Return how the file at ``path`` is to be read, having seen all of it.

        Raises:
            ImportSourceInvalid: it can't be read as it is, or not as ``job`` says.
            ImportHeaderInvalid: its columns don't fit the target.
        """
        head = _head(path)
        kind = detect_format(job.source, head, job)
        typed = kind in {ImportFormat.XLSX, ImportFormat.PARQUET}
        encoding = "utf-8" if typed else detect_encoding(head, job)
        text = as_text(path, kind, encoding, job.decimal, scratch, meter)
        start = len(UTF8_MARK) if _head(text).startswith(UTF8_MARK) else 0
        if kind is ImportFormat.JSONL:
            layout = _json_layout(job, encoding, start, text)
        else:
            layout = _csv_layout(job, kind, encoding, start, text)
        rows, regular = count_rows(text, layout, meter)
        if not regular:  # a quote may never close: better told now than after half of the rows
            for _ in read_blocks(text, layout, job, byte=layout.body, line=layout.first_line):
                meter.advance(0)
        return layout.model_copy(update={"rows": rows, "typed": typed})

    def text(self, path: Path, plan: ImportPlan, scratch: Path, meter: Meter) -> Path:
        """Return the file at ``path`` as UTF-8 text, as it was when ``plan`` was made.

        Raises:
            ImportSourceChanged: it is another text than then.
        """
        layout = plan.layout
        text = as_text(path, layout.format, layout.encoding, plan.job.decimal, scratch, meter)
        if text.stat().st_size != layout.size:
            msg = "the file is converted otherwise than when the import began: submit it anew"
            raise ImportSourceChanged(msg)
        return text

    def chunks(self, text: Path, plan: ImportPlan, position: ImportPosition) -> Generator[Chunk]:
        """Yield the checked chunks from ``position`` on; raises ``ImportSourceInvalid``."""
        return read_chunks(text, plan, position)

    def rejects_file(self, path: Path, plan: ImportPlan) -> RejectsWriter:
        """Begin a rejects file at ``path``."""
        return RejectsWriter(path, plan)


def as_text(
    path: Path, kind: ImportFormat, encoding: str, mark: str, scratch: Path, meter: Meter
) -> Path:
    """Return the path of the same table as UTF-8 text with usual line ends."""
    if kind in {ImportFormat.XLSX, ImportFormat.PARQUET}:
        text = scratch / "converted.csv"
        convert(kind, path, text, mark, meter)
        return text
    head = _head(path)
    bare_returns = b"\r" in head and b"\n" not in head and encoding in UTF8
    if encoding in UTF8 and not bare_returns:
        return path
    text = scratch / "decoded.txt"
    _transcode(path, text, encoding, meter, bare_returns=bare_returns)
    return text


def convert(kind: ImportFormat, source: Path, target: Path, mark: str, meter: Meter) -> None:
    """Turn a binary table into CSV in a child process with bounds of its own.

    Raises:
        ImportSourceInvalid: it can't be converted, or not within the bounds.
    """
    files = (str(CONVERTERS / f"{kind}.py"), str(source.absolute()), str(target.absolute()))
    command = [sys.executable, "-I", *files, mark]
    with subprocess.Popen(  # noqa: S603 - our own program, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            done = 0
            for line in child.stdout or ():
                meter.advance(int(line) - done)
                done = int(line)
            reason = child.stderr.read() if child.stderr else ""
        except BaseException:
            child.kill()
            raise
    if child.returncode in REFUSED:
        raise ImportSourceInvalid(reason)
    if child.returncode:
        msg = f"the {kind} file needs too much memory or time, or is damaged: save it as CSV"
        raise ImportSourceInvalid(msg)


def count_rows(text: Path, layout: Layout, meter: Meter) -> tuple[int, bool]:
    """Return the number of rows, and whether it is sure: every quote that opens also closes.

    Raises:
        ImportSourceInvalid: a row is too long to be one, or the text isn't UTF-8.
    """
    ends = lines = since = 0
    quoted = False
    last = b"\n"
    decoder = codecs.getincrementaldecoder("utf-8")()
    with text.open("rb") as file:
        file.seek(layout.body)
        while part := file.read(PART_BYTES):
            try:
                decoder.decode(part)
            except UnicodeDecodeError as error:
                raise _undecodable(error, "utf-8", layout.first_line + lines) from None
            newlines = part.count(b"\n")
            found = newlines
            if layout.delimiter and (quoted or b'"' in part):
                pieces = part.split(b'"')
                found = sum(piece.count(b"\n") for piece in pieces[quoted::2])
                quoted ^= len(pieces) % 2 == 0
            since = 0 if found else since + len(part)
            if since > 2 * MAX_ROW_BYTES:
                raise too_long(layout.first_line + lines)
            lines += newlines
            ends += found
            last = part[-1:]
            meter.advance(len(part))
    if decoder.getstate()[0]:
        raise ImportSourceInvalid("the file ends within a character: it is cut short")
    unended = last != b"\n"
    return (lines if quoted else ends) + unended, not quoted


def _csv_layout(
    job: ImportData, kind: ImportFormat, encoding: str, start: int, text: Path
) -> Layout:
    with text.open("rb") as file:
        file.seek(start)
        beginning = file.read(MAX_ROW_BYTES)
    first = beginning[: beginning.rfind(b"\n") + 1] or beginning
    if len(beginning) == MAX_ROW_BYTES and b"\n" not in beginning:
        raise too_long(1)
    try:
        written = first.decode()
    except UnicodeDecodeError as error:
        raise _undecodable(error, "utf-8", 1) from None
    typed = kind in {ImportFormat.XLSX, ImportFormat.PARQUET}
    delimiter = "," if typed else detect_delimiter(written, job, kind)
    headers, lines = read_header(written, delimiter)
    columns = match_header(headers, job)
    length = 0
    for _ in range(lines):
        length = first.find(b"\n", length) + 1 or len(first)
    ours = {name.strip().casefold() for name in headers} >= set(REJECT_COLUMNS)
    return Layout(
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        headers=tuple(headers),
        columns=columns,
        body=start + length,
        first_line=1 + lines,
        size=text.stat().st_size,
        rows=0,
        guarded=job.formula_guard or ours,
    )


def _json_layout(job: ImportData, encoding: str, start: int, text: Path) -> Layout:
    fields = [name for name in TARGETS[job.target].fields if name not in job.mapping.values()]
    headers = (*fields, *job.mapping)
    return Layout(
        format=ImportFormat.JSONL,
        encoding=encoding,
        delimiter="",
        headers=headers,
        columns=match_header(headers, job),
        body=start,
        first_line=1,
        size=text.stat().st_size,
        rows=0,
        guarded=job.formula_guard,
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _transcode(
    source: Path, target: Path, encoding: str, meter: Meter, *, bare_returns: bool
) -> None:
    with target.open("wb") as out:
        for text in _decoded(source, encoding, meter):
            out.write((text.replace("\r", "\n") if bare_returns else text).encode())


def _decoded(path: Path, encoding: str, meter: Meter) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as file:
        while True:
            part = file.read(PART_BYTES)
            try:
                text = decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                raise _undecodable(error, encoding, line) from None
            yield text
            if not part:
                return
            line += text.count("\n")
            meter.advance(len(part))


def _undecodable(error: UnicodeDecodeError, encoding: str, line: int) -> ImportSourceInvalid:
    line += error.object[: error.start].count(b"\n")
    return ImportSourceInvalid(
        f"line {line} has the byte 0x{error.object[error.start]:02X}, which is no {encoding}: "
        "state the file's encoding, for example cp1252, or save it as UTF-8"
    )

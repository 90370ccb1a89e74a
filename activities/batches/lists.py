"""Reading a list of items: one input in JSON a line."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from activities.batches.needs import Files
from jobs.base import MAX_INPUT_BYTES, Contract, JobKind
from jobs.batches import ItemsMissing, read_item
from jobs.errors import InvalidInputError, Problem
from jobs.files import ObjectNotFound

MAX_LINE_BYTES: Final = 2 * MAX_INPUT_BYTES
"""JSON may be written with more bytes than its shortest spelling has."""


class Line(NamedTuple):
    """One line of a list."""

    offset: int
    """Where it begins, in bytes."""
    text: bytes | None
    """Without its end; None if it is too long to be an input."""


async def lines(files: Files, key: str) -> AsyncIterator[Line]:
    """Yield a stored file's lines.

    Raises:
        ItemsMissing: there is no such file.
    """
    begin, rest, dropped = 0, b"", 0
    try:
        async with aclosing(files.stream(key)) as blocks:  # type: ignore[type-var]  # an async generator, said as its interface
            async for block in blocks:
                *ended, last = block.split(b"\n")
                for part in ended:
                    rest += part
                    fits = not dropped and len(rest) <= MAX_LINE_BYTES
                    yield Line(begin, rest if fits else None)
                    begin += dropped + len(rest) + 1
                    rest, dropped = b"", 0
                rest += last
                if len(rest) > MAX_LINE_BYTES:  # never in memory as a whole
                    rest, dropped = b"", dropped + len(rest)
    except ObjectNotFound as error:
        msg = f"items_source: storage has no such object: {key!r}"
        raise ItemsMissing(msg) from error
    if rest or dropped:
        yield Line(begin, None if dropped else rest)


def parse(kind: JobKind[Any, Any], text: bytes | None) -> Contract:
    """Return the input that a line is.

    Raises:
        InvalidInputError: it is none; says why.
    """
    return read_item(kind, parse_json(text))


def parse_json(text: bytes | None) -> Any:
    """Return what a line says in JSON.

    Raises:
        InvalidInputError: it is no JSON, or too long.
    """
    if text is None:
        message = f"the line has more than {MAX_LINE_BYTES:,} bytes: put large data into storage"
        raise InvalidInputError([Problem("", message)])
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        message = "the line is empty" if not text.strip() else "the line is no JSON"
        raise InvalidInputError([Problem("", message)]) from None


async def stretch(files: Files, key: str, start: int, length: int, count: int) -> list[Line]:
    """Return ``count`` lines from byte ``start`` on.

    Raises:
        ItemsMissing: the file is there no more, or is another than when it was first read.
    """
    try:
        text = await files.piece(key, start, length)
    except ObjectNotFound as error:
        msg = f"items_source: storage has the object no more: {key!r}"
        raise ItemsMissing(msg) from error
    found, offset = [], start
    for line in text.split(b"\n")[:count]:
        found.append(Line(offset, line if len(line) <= MAX_LINE_BYTES else None))
        offset += len(line) + 1
    if len(found) < count:
        msg = f"items_source: {key!r} is shorter than when the batch began"
        raise ItemsMissing(msg)
    return found


def spell(item: Mapping[str, Any]) -> bytes:
    """Return an item as a line."""
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

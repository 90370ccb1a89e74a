"""Reading a list of recipients: one entry of JSON a line."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from pydantic import ValidationError

from activities.mailings.needs import Files
from jobs.files import ObjectNotFound
from jobs.mailings import (
    MAX_RECIPIENTS,
    Recipient,
    RecipientsMissing,
    RecipientsTooMany,
    read_recipient,
)

MAX_LINE_BYTES: Final = 256 * 1024


async def lines(files: Files, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
    """Yield a stored file's lines without their ends.

    Raises:
        RecipientsMissing: there is no such file, or it has no lines.
    """
    rest = b""
    try:
        async with aclosing(files.stream(key, start=start)) as blocks:  # type: ignore[type-var]  # an async generator, said as its interface
            async for block in blocks:
                *whole, rest = (rest + block).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    msg = f"recipients_source: a line is longer than {MAX_LINE_BYTES:,} bytes"
                    raise RecipientsMissing(msg)
                for line in whole:
                    yield line
    except ObjectNotFound as error:
        msg = f"recipients_source: storage has no such object: {key!r}"
        raise RecipientsMissing(msg) from error
    if rest:
        yield rest


async def measure(files: Files, key: str, chunk: int) -> tuple[int, list[int]]:
    """Return how many entries a list has and where each chunk of it begins.

    Raises:
        RecipientsMissing: it is not there, or empty.
        RecipientsTooMany: it is longer than a mailing can be.
    """
    total, position, offsets = 0, 0, []
    async for line in lines(files, key):
        if total % chunk == 0:
            offsets.append(position)
        total += 1
        position += len(line) + 1
        if total > MAX_RECIPIENTS:
            msg = f"the list has more than {MAX_RECIPIENTS:,} entries: split it"
            raise RecipientsTooMany(msg)
    if total == 0:
        msg = "the list of recipients is empty"
        raise RecipientsMissing(msg)
    return total, offsets


async def stretch(files: Files, key: str, *, start: int, count: int) -> list[bytes]:
    """Return ``count`` lines from byte ``start`` on."""
    found: list[bytes] = []
    async with aclosing(lines(files, key, start=start)) as rest:  # type: ignore[type-var]  # an async generator, said as its interface
        async for line in rest:
            found.append(line)
            if len(found) == count:
                break
    return found


def parse(line: bytes) -> Recipient | None:
    """Return the entry of a line, or None if it is none."""
    try:
        value: Any = json.loads(line)
        return Recipient.model_validate(read_recipient(value), extra="forbid")
    except (ValueError, ValidationError):
        return None


def whom(line: bytes) -> dict[str, Any]:
    """Return whom a line names, as it names them, for the outcomes."""
    try:
        value: Any = read_recipient(json.loads(line))
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name in ("to", "user_id") if name in value}

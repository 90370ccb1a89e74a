"""Times as people type them: spans, instants, either back from now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from jobs.errors import InvalidInputError, Problem

UNITS_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse_duration(option: str, text: str) -> timedelta:
    """Read ``90s``, ``10m``, ``1h30m`` or ``2d``.

    Raises:
        InvalidInputError: ``text`` is none of those; names ``option``.
    """
    parts = PART.findall(text)
    if not parts or PART.sub("", text):
        problem = Problem(option, f"{text!r}: write a span such as 90s, 10m, 1h30m or 2d")
        raise InvalidInputError([problem])
    return timedelta(seconds=sum(float(number) * UNITS_S[unit] for number, unit in parts))


def parse_instant(option: str, text: str) -> datetime:
    """Read ``2027-01-31T09:00:00+01:00``; a ``Z`` is UTC.

    Raises:
        InvalidInputError: ``text`` is no instant or has no offset; names ``option``.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        fix = "write a time with its offset, such as 2027-01-31T09:00:00+01:00 or ...Z"
        raise InvalidInputError([Problem(option, f"{text!r}: {fix}")])
    return instant


def parse_since(option: str, text: str) -> datetime:
    """Read an instant, or a span back from now such as ``2h``."""
    if PART.fullmatch(text) or PART.sub("", text) == "":
        return datetime.now(UTC) - parse_duration(option, text)
    try:
        return parse_instant(option, text)
    except InvalidInputError:
        fix = "write a span such as 2h, or a time with its offset: 2027-01-31T09:00:00+01:00"
        raise InvalidInputError([Problem(option, f"{text!r}: {fix}")]) from None

"""Limits and pauses of queues: what the server keeps of one, and when a pause ends.

The server holds one rate a queue, with a reason and an author. Zero is a pause; what a pause
replaced, and when it ends, stands behind its reason, so that nothing has to be kept elsewhere.
"""

import re
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from jobs.base import Contract

END_PAUSE_WORKFLOW: Final = "EndPause"

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
RATE_PATTERN: Final = r"^([0-9]+(?:\.[0-9]+)?)/([smhd])$"
ROUND_OFF: Final = 1e-4
"""The server keeps a rate in single precision."""


class Limit(Contract):
    """A rate that somebody chose."""

    rate: float | None = None
    """Steps started a second; null is unlimited."""
    reason: str = ""
    author: str = ""


class Pause(Contract):
    """What the server keeps of a pause besides its reason and its author."""

    until: datetime | None = None
    """When it ends by itself."""
    limit: Limit | None = None
    """The limit that holds again afterwards; null where nobody had chosen one."""


class EndPause(Contract):
    """A pause that is to end by itself."""

    queue: str
    until: datetime
    """Tells the pause from a later one of the same queue, which stays."""


def end_pause_id(queue: str) -> str:
    """Return the id of the workflow that ends a queue's pause."""
    return f"end-pause-{queue}"


def write_reason(reason: str, pause: Pause) -> str:
    """Return what the server keeps as the reason of a pause: words, then a line for programs."""
    return f"{reason}\n{pause.model_dump_json(exclude_none=True)}"


def read_reason(text: str) -> tuple[str, Pause]:
    """Return the words and the facts of a pause; one that another program made has only words."""
    words, _, line = text.rpartition("\n")
    try:
        return words, Pause.model_validate_json(line)
    except ValidationError:
        return text, Pause()


def parse_rate(value: Any) -> Any:
    """Read ``10/m`` as steps a second; what is no text stays as it is.

    Raises:
        ValueError: it is a text, and no rate.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(RATE_PATTERN, value)
    if match is None:
        msg = "write a count per second, minute, hour or day, such as 10/m"
        raise ValueError(msg)
    return float(match[1]) / UNITS_S[match[2]]


def rate_words(rate: float | None) -> str:
    """Return a rate as people write it: ``10/m``, ``unlimited``."""
    if rate is None:
        return "unlimited"
    for unit, seconds in UNITS_S.items():
        if (count := rate * seconds) >= 1 and abs(count - round(count, 2)) < ROUND_OFF:
            return f"{count:.6g}/{unit}"
    return f"{rate * UNITS_S['d']:.6g}/d"

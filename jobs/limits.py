"""Limits and pauses of queues: what the server keeps of one, and when a pause ends.

The server holds one rate a queue, with a reason and an author. Zero is a pause; what a pause
replaced, and when it ends, stands behind its reason, so that nothing has to be kept elsewhere.
"""

from datetime import datetime
from typing import Final

from pydantic import ValidationError

from jobs.base import Contract, Queue

END_PAUSE_WORKFLOW: Final = "EndPause"


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

    queue: Queue
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

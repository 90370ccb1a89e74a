"""Stored events, as they pass between database and step."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from jobs.webhooks import InboundState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A verified event, with its raw body or the key of it."""

    source: str
    event_id: str
    owner: str
    type: str
    state: InboundState
    body: bytes | None = field(repr=False)
    body_key: str | None
    received_at: datetime


class Pruned(NamedTuple):
    """What was deleted, and what of it is left in storage."""

    rows: int
    keys: list[str]
    """Of objects that belonged to the rows; deleting one again is fine."""

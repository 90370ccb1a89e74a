"""A mail before it is bytes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail before it is bytes."""

    to: str
    template: str
    locale: str
    variables: dict[str, Any]
    message_id: str
    timestamp: float
    """Of the Date header, seconds since 1970."""
    list_name: str | None = None
    """Bulk mail: the list, for List-Id."""
    unsubscribe_token: str | None = None
    attachments: tuple[Attachment, ...] = ()

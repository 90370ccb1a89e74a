"""What a verified request says: its event's id, type and time. Pure."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import from_json

from jobs.signatures.schemes import (
    SLACK_TIMESTAMP,
    Headers,
    MalformedRequest,
    Scheme,
    check_event_id,
)
from jobs.signatures.standard import ID_HEADER
from jobs.webhooks.sources import WebhookSource

GITHUB_ID: Final = "x-github-delivery"
GITHUB_EVENT: Final = "x-github-event"
MAX_TYPE_CHARACTERS: Final = 128
OCCURRED_AT: Final = ("timestamp", "created", "event_time", "occurred_at")
"""Where Standard Webhooks, Stripe, Slack and we ourselves say when an event happened."""
NO_TYPE: Final = "unknown"


def parse_body(body: bytes) -> dict[str, Any]:
    """Return a JSON object; strictly, since a stranger wrote it.

    Raises:
        MalformedRequest: not UTF-8, not JSON, nested too deep, NaN or infinite numbers, a key twice
            in one object, or no object at all.
    """
    try:
        from_json(body, allow_inf_nan=False)
        value = json.loads(body, object_pairs_hook=_without_repeated_keys, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        msg = f"the body is not strict JSON ({type(error).__name__})"
        raise MalformedRequest(msg) from None
    if not isinstance(value, dict):
        msg = "the body is no JSON object"
        raise MalformedRequest(msg)
    return value


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key stands twice in one object"
        raise ValueError(msg)
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        msg = "a number is too large"
        raise ValueError(msg)
    return value


def identify(
    source: WebhookSource, headers: Headers, raw: bytes, body: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the event's id and type; raises ``MalformedRequest`` where there is no id."""
    found: tuple[Any, Any]
    match source.scheme:
        case Scheme.STANDARD:
            found = headers.get(ID_HEADER), body.get("type")
        case Scheme.GITHUB:
            found = headers.get(GITHUB_ID), headers.get(GITHUB_EVENT)
        case Scheme.STRIPE:
            found = body.get("id"), body.get("type")
        case Scheme.SLACK:
            event = body.get("event")
            kind = event.get("type") if isinstance(event, dict) else None
            unique = raw + (headers.get(SLACK_TIMESTAMP) or "").encode()
            digest = hashlib.sha256(unique).hexdigest()
            found = body.get("event_id", digest), kind or body.get("type")
        case Scheme.GENERIC:
            found = (
                _from(source.event_id_header, source.event_id_pointer, headers, body),
                _from(source.event_type_header, source.event_type_pointer, headers, body),
            )
    event_id, event_type = found
    if not isinstance(event_id, str):
        msg = "the request has no event id"
        raise MalformedRequest(msg)
    return check_event_id(event_id), _clean_type(event_type)


def _from(
    header: str | None, pointer: str | None, headers: Headers, body: Mapping[str, Any]
) -> Any:
    if header is not None:
        return headers.get(header)
    here: Any = body
    for part in (pointer or "").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        here = here.get(name) if isinstance(here, dict) else None
    return str(here) if isinstance(here, int) else here


def _clean_type(value: Any) -> str:
    clean = isinstance(value, str) and 0 < len(value) <= MAX_TYPE_CHARACTERS and value.isprintable()
    return value if clean else NO_TYPE


def read_occurred_at(body: Mapping[str, Any]) -> datetime | None:
    """Return when the event happened, if it says so where one of the schemes does."""
    for name in OCCURRED_AT:
        if (at := read_instant(body.get(name))) is not None:
            return at
    return None


def read_instant(value: Any) -> datetime | None:
    """Return Unix seconds or ISO 8601 with an offset as an instant; None for anything else."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
    return None

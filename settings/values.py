"""How the variables are written that hold more than a word, and what they may say."""

import ipaddress
import json
import re
from datetime import timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from jobs.addresses import MailAddress
from jobs.base import Queue
from jobs.encryption import parse_keys
from jobs.limits import UNITS_S, parse_rate
from jobs.validation import nearest
from jobs.webhooks.sources import WebhookSource

PUBLIC_KEY_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
SHORTEST_SECRET: Final = 32


def parse_pairs(value: Any) -> Any:
    """Read ``emails=5,images=2`` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if bad := [name for name, equals, _ in pairs if not equals]:
        msg = f"write NAME=VALUE,NAME=VALUE; {bad[0]!r} has no '='"
        raise ValueError(msg)
    return {name.strip(): amount.strip() for name, _, amount in pairs}


def parse_duration(value: Any) -> Any:
    """Read ``30s``, ``5m`` or ``2h`` as a time span."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    return timedelta(seconds=float(match[1]) * UNITS_S[match[2]]) if match else value


def parse_json(value: Any) -> Any:
    """Read JSON text as the value that it writes."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        msg = f"is not JSON: {error}"
        raise ValueError(msg) from None


def parse_list(value: Any) -> Any:
    """Read ``a,b`` as a list."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def check_queues(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse names that are no queue's."""
    if unknown := [name for name in value if name not in list(Queue)]:
        msg = f"no queue {unknown[0]!r}; {nearest(unknown[0], list(Queue))}"
        raise ValueError(msg)
    return value


def check_networks(value: list[str]) -> list[str]:
    """Refuse what is no network, such as ``127.0.0.1/8``."""
    for network in value:
        ipaddress.ip_network(network)
    return value


def check_origins(value: list[str]) -> list[str]:
    """Refuse what is no origin of a page."""
    if bad := [origin for origin in value if not re.fullmatch(r"https?://[^/*\s]+", origin)]:
        msg = f"{bad[0]!r}: write scheme and host, https://app.example.com, and no '*'"
        raise ValueError(msg)
    return value


def check_algorithms(value: list[str]) -> list[str]:
    """Refuse signatures of tokens by a shared secret, and no signature."""
    if not value or set(value) - PUBLIC_KEY_ALGORITHMS:
        msg = f"use some of {', '.join(sorted(PUBLIC_KEY_ALGORITHMS))}"
        raise ValueError(msg)
    return value


def check_key_set(value: str) -> str:
    """Refuse public keys that come over an open line."""
    if value.startswith("http:"):
        msg = "whoever is in between could give other keys: use https, or a file"
        raise ValueError(msg)
    return value


def check_length(value: SecretStr) -> SecretStr:
    """Refuse a secret that can be guessed."""
    if len(value.get_secret_value()) < SHORTEST_SECRET:
        msg = f"must have at least {SHORTEST_SECRET} characters"
        raise ValueError(msg)
    return value


def check_keys(value: SecretStr) -> SecretStr:
    """Refuse what can't be read as keys of payloads."""
    parse_keys(value.get_secret_value())
    return value


def check_zone(value: str) -> str:
    """Refuse a name that is no time zone's."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"{value!r} is no IANA time zone such as Europe/Berlin"
        raise ValueError(msg) from None
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Rate = Annotated[float, BeforeValidator(parse_rate), Field(gt=0)]
Slots = Annotated[int, Field(ge=1, le=1000)]
SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]

QueueSlots = Annotated[
    dict[str, Slots], NoDecode, BeforeValidator(parse_pairs), AfterValidator(check_queues)
]
QueueRates = Annotated[
    dict[str, Rate], NoDecode, BeforeValidator(parse_pairs), AfterValidator(check_queues)
]
WebhookSources = Annotated[dict[SourceName, WebhookSource], NoDecode, BeforeValidator(parse_json)]
MailAddresses = Annotated[list[MailAddress], NoDecode, BeforeValidator(parse_list)]
Networks = Annotated[
    list[str], NoDecode, BeforeValidator(parse_list), AfterValidator(check_networks)
]
Origins = Annotated[list[str], NoDecode, BeforeValidator(parse_list), AfterValidator(check_origins)]
Algorithms = Annotated[
    list[str], NoDecode, BeforeValidator(parse_list), AfterValidator(check_algorithms)
]
KeySet = Annotated[str, AfterValidator(check_key_set)]
LongSecret = Annotated[SecretStr, AfterValidator(check_length)]
KeySecret = Annotated[SecretStr, AfterValidator(check_keys)]
ZoneName = Annotated[str, AfterValidator(check_zone)]

"""Webhook endpoints: where an owner's events are delivered, and how.

An endpoint is a row of the registry, no job. Its signing keys are kept encrypted by the adapter and
are in no job, log or answer, but for the one that shows a new key.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from jobs.base import Contract, Identifier
from jobs.errors import InvalidInputError, Problem
from jobs.signatures.standard import SignatureAlgorithm

MAX_ENDPOINTS: Final = 1_000
"""Of one owner: an event starts one delivery for each that subscribes to it."""
MAX_URL_CHARACTERS: Final = 2_048
MAX_DELAY: Final = timedelta(hours=24)
ROTATION_OVERLAP: Final = timedelta(hours=24)
"""How long requests are signed with the old key too."""

DEFAULT_SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Waits before the attempts: eleven over 75.7 hours."""
DEMO_SCHEDULE: Final = (timedelta(0), timedelta(seconds=1), timedelta(seconds=2))

EVENT_TYPE: Final = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$"
EVENT_PATTERN: Final = r"^(\*|[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?)$"
LOWEST_FREE_PORT: Final = 1024
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1024}")
MAX_HEADERS: Final = 20
OUR_HEADERS: Final = ("host", "connection", "transfer-encoding", "user-agent", "te", "upgrade")
OUR_HEADER_PREFIXES: Final = ("content-", "webhook-", "proxy-")

EventPattern = Annotated[str, Field(pattern=EVENT_PATTERN, max_length=128)]
"""An event type, a prefix such as ``invoice.*``, or ``*`` for all."""


class EndpointState(StrEnum):
    """Whether deliveries are made."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Deliveries wait."""
    DISABLED = "disabled"
    """Deliveries end, and no new ones are made."""


class PayloadFormat(StrEnum):
    """What a request carries."""

    FULL = "full"
    """The event with its data."""
    THIN = "thin"
    """``id``, ``type``, ``timestamp`` and ``url``, from which the receiver fetches the data."""


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return ``headers`` if they may be added to requests; raise ``ValueError`` if not."""
    if len(headers) > MAX_HEADERS:
        msg = f"{len(headers)} headers, {MAX_HEADERS} are allowed"
        raise ValueError(msg)
    for name, value in headers.items():
        lower = name.lower()
        if HEADER_NAME.fullmatch(name) is None or HEADER_VALUE.fullmatch(value) is None:
            msg = f"{name!r}: a header is a token and up to 1,024 printable ASCII characters"
            raise ValueError(msg)
        if lower in OUR_HEADERS or lower.startswith(OUR_HEADER_PREFIXES):
            msg = f"{name!r} is set by the delivery itself"
            raise ValueError(msg)
    return headers


class EndpointOptions(Contract):
    """How deliveries to an endpoint are made."""

    event_types: list[EventPattern] = Field(default=["*"], min_length=1, max_length=50)
    """Which events: types, prefixes such as ``invoice.*``, or ``*``."""
    description: str = Field(default="", max_length=200)
    format: PayloadFormat = PayloadFormat.FULL
    algorithm: SignatureAlgorithm = SignatureAlgorithm.HMAC
    schedule: list[Annotated[timedelta, Field(ge=timedelta(0), le=MAX_DELAY)]] = Field(
        default=list(DEFAULT_SCHEDULE), min_length=1, max_length=20
    )
    """The wait before each attempt."""
    timeout_s: int = Field(default=15, ge=1, le=30)
    """Total time of one attempt."""
    max_concurrency: int = Field(default=4, ge=1, le=50)
    """Attempts at once, over all workers."""
    rate_per_s: float | None = Field(default=None, gt=0, le=1000)
    """Most attempts begun per second, over all workers."""
    ordered: bool = False
    """One delivery at a time, in the order of the events; a failing one holds up the rest."""
    notify_user: Identifier | None = None
    """User id that is mailed when the endpoint keeps failing and when it is disabled."""


class NewEndpoint(EndpointOptions):
    """An endpoint to register."""

    url: str = Field(max_length=MAX_URL_CHARACTERS)
    headers: Annotated[dict[str, str], AfterValidator(check_headers)] = Field(default_factory=dict)
    """Added to every request; kept encrypted, and shown by name only."""


class EndpointHealth(Contract):
    """What the last attempts say about an endpoint, and what follows from it."""

    consecutive_failures: int = 0
    first_failure_at: datetime | None = None
    """Of the failures since the last success."""
    last_success_at: datetime | None = None
    open_until: datetime | None = None
    """The circuit is open: no attempt until then, and then one at a time."""
    openings: int = 0
    """How often the circuit has opened since the last success."""
    paused_until: datetime | None = None
    """The endpoint asked for a pause (Retry-After)."""
    one_at_a_time: bool = False
    """It was overloaded; until the next success."""
    warned: bool = False
    """Its user was told that it keeps failing."""


class Endpoint(EndpointOptions):
    """A registered endpoint, as its owner sees it."""

    id: Identifier
    owner: str
    url: str
    header_names: list[str] = Field(default_factory=list)
    state: EndpointState = EndpointState.ACTIVE
    disabled_reason: str | None = None
    health: EndpointHealth = EndpointHealth()
    previous_key_until: datetime | None = None
    """During a rotation, how long requests are signed with the old key too."""
    created_at: datetime

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if (self.state is EndpointState.DISABLED) != (self.disabled_reason is not None):
            msg = "a disabled endpoint has a reason, and no other has"
            raise ValueError(msg)
        return self


def subscribes(patterns: list[str], event_type: str) -> bool:
    """Tell whether one of ``patterns`` names ``event_type``."""
    return any(
        pattern in ("*", event_type)
        or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )


def check_url(url: str, *, allow_http: bool = False, allow_ports: bool = False) -> None:
    """Refuse a URL that no delivery may go to.

    The text alone can't tell where a name leads: the address is checked again at every connection
    (``adapters.http``).

    Args:
        url: What the owner gave.
        allow_http: Accept ``http:``, on port 80.
        allow_ports: Accept the ports from 1024 on.

    Raises:
        InvalidInputError: with the reason.
    """
    if problem := _problem_of(url, allow_http=allow_http, allow_ports=allow_ports):
        raise InvalidInputError([Problem("url", problem)])


def _problem_of(url: str, *, allow_http: bool, allow_ports: bool) -> str | None:
    if len(url) > MAX_URL_CHARACTERS:
        return f"has {len(url)} characters, {MAX_URL_CHARACTERS} are allowed"
    if re.search(r"[^\x21-\x7e]|\\", url):
        return "holds a space, a backslash, a control character or more than ASCII"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "can't be read as a URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_http):
        return "must begin with https:// (http:// needs CONVEYOR_WEBHOOK_ALLOW_HTTP)"
    if "@" in parts.netloc:
        return "must not hold a user or password; add a header instead"
    if "#" in url:
        return "must not hold a fragment"
    host = parts.hostname or ""
    if "." not in host.strip(".") and ":" not in host:
        return "needs a full host name"
    default = DEFAULT_PORTS[parts.scheme]
    if port not in (None, default) and not (allow_ports and port >= LOWEST_FREE_PORT):
        return f"must use port {default} (1024 and up need CONVEYOR_WEBHOOK_ALLOW_PORTS)"
    return None

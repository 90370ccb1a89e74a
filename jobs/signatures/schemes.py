"""Verifying inbound requests: the five schemes, over raw bytes, in constant time, failing closed.

| scheme | headers | signed bytes | key |
| --- | --- | --- | --- |
| standard | webhook-id, -timestamp, -signature | ``id.ts.body`` | decoded ``whsec_``, ``whpk_`` |
| github | X-Hub-Signature-256 | body | the secret's UTF-8 bytes; no time-stamp |
| stripe | Stripe-Signature | ``ts.body`` | the whole ``whsec_...`` as text |
| slack | X-Slack-Request-Timestamp, X-Slack-Signature | ``v0:ts:body`` | UTF-8 bytes |
| generic | settings | body | UTF-8 bytes |
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from jobs.signatures import standard

MAX_SIGNATURES: Final = 16
MAX_HEADER_CHARACTERS: Final = 8192

TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")
EVENT_ID: Final = re.compile(r"[!-~]{1,255}")
"""Printable ASCII without spaces."""
HEX_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")

GITHUB_SIGNATURE: Final = "x-hub-signature-256"
STRIPE_SIGNATURE: Final = "stripe-signature"
SLACK_SIGNATURE: Final = "x-slack-signature"
SLACK_TIMESTAMP: Final = "x-slack-request-timestamp"


class Scheme(StrEnum):
    """How a sender signs."""

    STANDARD = "standard"
    GITHUB = "github"
    STRIPE = "stripe"
    SLACK = "slack"
    GENERIC = "generic"


class Encoding(StrEnum):
    """How the generic scheme's header spells the digest."""

    HEX = "hex"
    BASE64 = "base64"


class MalformedRequest(Exception):
    """The request is not of its scheme's shape; the message is for our log, not for the sender."""


class SignatureRefused(Exception):
    """No valid signature, or too old or too new; the message is for our log only."""


class Headers:
    """A request's headers, found without regard to case; a repeated one is no answer."""

    def __init__(self, pairs: Iterable[tuple[str, str]] | Mapping[str, str]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def get(self, name: str) -> str | None:
        """Return the header's value, or ``None``.

        Raises:
            MalformedRequest: it stands there twice, is too long or holds more than ASCII.
        """
        values = self._values.get(name.lower(), [])
        if not values:
            return None
        value = values[0]
        if len(values) > 1:
            msg = f"{name}: given {len(values)} times"
            raise MalformedRequest(msg)
        if not value.isascii() or len(value) > MAX_HEADER_CHARACTERS:
            msg = f"{name}: not ASCII, or over {MAX_HEADER_CHARACTERS} characters"
            raise MalformedRequest(msg)
        return value

    def signature(self, name: str) -> str:
        """Return the header that proves the sender.

        Raises:
            SignatureRefused: it is missing.
            MalformedRequest: as ``get``.
        """
        value = self.get(name)
        if not value:
            msg = f"{name}: missing"
            raise SignatureRefused(msg)
        return value


def verify_standard(
    headers: Headers, body: bytes, keys: Sequence[str], *, now: float, tolerance_s: int
) -> None:
    """Verify a Standard Webhooks request; raises ``MalformedRequest`` or ``SignatureRefused``."""
    signatures = [part for part in headers.signature(standard.SIGNATURE_HEADER).split(" ") if part]
    _limit(signatures)
    message_id = check_event_id(headers.signature(standard.ID_HEADER))
    timestamp = _fresh(headers.signature(standard.TIMESTAMP_HEADER), now, tolerance_s)
    if not any(
        standard.matches(key, message_id, timestamp, body, signature)
        for signature in signatures
        for key in keys
    ):
        raise SignatureRefused(standard.SIGNATURE_HEADER)


def verify_github(headers: Headers, body: bytes, secrets: Sequence[str]) -> None:
    """Verify a GitHub request; raises ``MalformedRequest`` or ``SignatureRefused``."""
    given = headers.signature(GITHUB_SIGNATURE)
    scheme, _, digest = given.partition("=")
    if scheme != "sha256":
        msg = f"{GITHUB_SIGNATURE}: not sha256=<hex>"
        raise MalformedRequest(msg)
    _match_hex(GITHUB_SIGNATURE, [digest], body, secrets)


def verify_stripe(
    headers: Headers, body: bytes, secrets: Sequence[str], *, now: float, tolerance_s: int
) -> None:
    """Verify a Stripe request; raises ``MalformedRequest`` or ``SignatureRefused``."""
    parts = [part.strip().partition("=") for part in headers.signature(STRIPE_SIGNATURE).split(",")]
    _limit(parts)
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1:
        msg = f"{STRIPE_SIGNATURE}: needs one t="
        raise MalformedRequest(msg)
    timestamp = _fresh(times[0], now, tolerance_s)
    digests = [value for name, _, value in parts if name == "v1"]
    _match_hex(STRIPE_SIGNATURE, digests, b"%d.%s" % (timestamp, body), secrets)


def verify_slack(
    headers: Headers, body: bytes, secrets: Sequence[str], *, now: float, tolerance_s: int
) -> None:
    """Verify a Slack request; raises ``MalformedRequest`` or ``SignatureRefused``."""
    version, _, digest = headers.signature(SLACK_SIGNATURE).partition("=")
    if version != "v0":
        msg = f"{SLACK_SIGNATURE}: not v0=<hex>"
        raise MalformedRequest(msg)
    timestamp = _fresh(headers.signature(SLACK_TIMESTAMP), now, tolerance_s)
    _match_hex(SLACK_SIGNATURE, [digest], b"v0:%d:%s" % (timestamp, body), secrets)


def verify_generic(
    headers: Headers,
    body: bytes,
    secrets: Sequence[str],
    *,
    header: str,
    prefix: str,
    encoding: Encoding,
) -> None:
    """Verify an HMAC-SHA256 of the body in a named header; raises as the others."""
    given = headers.signature(header)
    if not given.startswith(prefix):
        msg = f"{header}: does not begin with {prefix!r}"
        raise MalformedRequest(msg)
    value = given.removeprefix(prefix)
    if encoding is Encoding.HEX:
        _match_hex(header, [value], body, secrets)
        return
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        msg = f"{header}: not base64"
        raise MalformedRequest(msg) from None
    _match(header, [digest], body, secrets)


def check_event_id(value: str) -> str:
    """Return ``value`` if it can be an event's id; raise ``MalformedRequest`` if not."""
    if EVENT_ID.fullmatch(value) is None:
        msg = "the event id is not 1 to 255 printable ASCII characters without spaces"
        raise MalformedRequest(msg)
    return value


def _limit(signatures: Sequence[object]) -> None:
    if len(signatures) > MAX_SIGNATURES:
        msg = f"{len(signatures)} signatures, at most {MAX_SIGNATURES} are tried"
        raise MalformedRequest(msg)


def _fresh(timestamp: str, now: float, tolerance_s: int) -> int:
    """Return the time-stamp; refuse one that is too far from now in either direction."""
    if TIMESTAMP.fullmatch(timestamp) is None:
        msg = "the time-stamp is not 1 to 11 digits"
        raise MalformedRequest(msg)
    if abs(now - int(timestamp)) > tolerance_s:
        msg = f"the time-stamp is more than {tolerance_s} s from now"
        raise SignatureRefused(msg)
    return int(timestamp)


def _match_hex(header: str, digests: Sequence[str], content: bytes, secrets: Sequence[str]) -> None:
    if any(HEX_DIGEST.fullmatch(digest) is None for digest in digests):
        msg = f"{header}: not 64 hex digits"
        raise MalformedRequest(msg)
    _match(header, [bytes.fromhex(digest) for digest in digests], content, secrets)


def _match(header: str, digests: Sequence[bytes], content: bytes, secrets: Sequence[str]) -> None:
    for secret in secrets:
        expected = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        if any(hmac.compare_digest(expected, digest) for digest in digests):
            return
    raise SignatureRefused(header)

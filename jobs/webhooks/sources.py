"""Who may send webhooks here, and how each signs: the setting ``CONVEYOR_WEBHOOK_SOURCES``."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from jobs.signatures import standard
from jobs.signatures.schemes import (
    Encoding,
    Headers,
    Scheme,
    verify_generic,
    verify_github,
    verify_slack,
    verify_standard,
    verify_stripe,
)

MAX_BODY_BYTES: Final = 26_214_400
"""GitHub's largest."""

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
JsonPointer = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_~.-]+)+$", max_length=200)]


class WebhookSource(BaseModel):
    """One sender."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    scheme: Scheme
    secrets: Annotated[list[SecretStr], Field(min_length=1, max_length=5)]
    """Shared with the sender; several during a rotation. Any of them is accepted."""
    owner: str = ""
    """Owner of the jobs."""
    tolerance_s: int = Field(default=300, ge=30, le=900)
    """How far a request's time-stamp may be from now, before or after."""
    max_bytes: int = Field(default=262_144, ge=1, le=MAX_BODY_BYTES)
    """Largest body."""
    content_types: list[str] = ["application/json"]
    """Accepted types of bodies."""
    rate_per_minute: int = Field(default=6_000, ge=1)
    """Most requests that one process accepts in a minute."""

    signature_header: HeaderName | None = None
    """Generic scheme: the header with the HMAC-SHA256 of the body."""
    signature_prefix: str = ""
    """Generic scheme: what stands before the digest, ``sha256=``."""
    signature_encoding: Encoding = Encoding.HEX
    """Generic scheme: ``hex`` or ``base64``."""
    event_id_header: HeaderName | None = None
    """Generic scheme: the header with the event's id."""
    event_id_pointer: JsonPointer | None = None
    """Generic scheme: or where in the body the id is, ``/event/id``."""
    event_type_header: HeaderName | None = None
    """Generic scheme: the header with the event's type."""
    event_type_pointer: JsonPointer | None = None
    """Generic scheme: or where in the body the type is."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for secret in self.secrets:
            check_secret(self.scheme, secret.get_secret_value())
        if self.scheme is Scheme.GENERIC:
            if self.signature_header is None:
                msg = "the generic scheme needs signature_header"
                raise ValueError(msg)
            if (self.event_id_header is None) == (self.event_id_pointer is None):
                msg = "the generic scheme needs one of event_id_header and event_id_pointer"
                raise ValueError(msg)
        return self

    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        """Verify a request.

        Raises:
            MalformedRequest: it is not of the scheme's shape.
            SignatureRefused: no valid signature, or too far from ``now``.
        """
        keys = [secret.get_secret_value() for secret in self.secrets]
        match self.scheme:
            case Scheme.STANDARD:
                verify_standard(headers, body, keys, now=now, tolerance_s=self.tolerance_s)
            case Scheme.GITHUB:
                verify_github(headers, body, keys)
            case Scheme.STRIPE:
                verify_stripe(headers, body, keys, now=now, tolerance_s=self.tolerance_s)
            case Scheme.SLACK:
                verify_slack(headers, body, keys, now=now, tolerance_s=self.tolerance_s)
            case Scheme.GENERIC:
                verify_generic(
                    headers,
                    body,
                    keys,
                    header=self.signature_header or "",
                    prefix=self.signature_prefix,
                    encoding=self.signature_encoding,
                )


def check_secret(scheme: Scheme, secret: str) -> None:
    """Raise ``ValueError`` for a secret that is none."""
    if not secret.strip():
        msg = "a secret is empty"
        raise ValueError(msg)
    if scheme is Scheme.STANDARD:
        public = secret.startswith(standard.PUBLIC_PREFIX)
        standard.decode_key(secret, standard.PUBLIC_PREFIX if public else standard.SECRET_PREFIX)

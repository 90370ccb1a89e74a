"""Standard Webhooks 1.0.0: the keys, the signature, and the three headers of a request.

Signed are the bytes ``id.timestamp.body``. ``v1`` is HMAC-SHA256 with a secret of 24 to 64 bytes,
shown as ``whsec_`` and base64; ``v1a`` is ed25519 with the key pair ``whsk_`` / ``whpk_``. During a
rotation the header holds a signature of each valid key.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  (the prefix of every secret, itself none)
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"

NEW_SECRET_BYTES: Final = 32
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
ED25519_KEY_BYTES: Final = 32

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"


class SignatureAlgorithm(StrEnum):
    """How the requests to an endpoint are signed."""

    HMAC = "v1"
    """HMAC-SHA256: both sides hold the same secret."""
    ED25519 = "v1a"
    """The receiver holds only the public key."""


def new_key(algorithm: SignatureAlgorithm) -> str:
    """Return a fresh signing key in its written form."""
    if algorithm is SignatureAlgorithm.HMAC:
        return SECRET_PREFIX + _encoded(secrets.token_bytes(NEW_SECRET_BYTES))
    return PRIVATE_PREFIX + _encoded(secrets.token_bytes(ED25519_KEY_BYTES))


def verification_key(key: str) -> str:
    """Return what the receiver verifies with: the secret itself, or the public key of the pair."""
    if key.startswith(SECRET_PREFIX):
        return key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(decode_key(key, PRIVATE_PREFIX))
    return PUBLIC_PREFIX + _encoded(private.public_key().public_bytes_raw())


def decode_key(key: str, prefix: str) -> bytes:
    """Return the bytes of a written key.

    Raises:
        ValueError: wrong prefix, not strict base64, or a length that the standard doesn't allow.
    """
    try:
        data = base64.b64decode(key.removeprefix(prefix), validate=True)
    except binascii.Error:
        msg = f"a key is {prefix} and base64"
        raise ValueError(msg) from None
    if prefix == SECRET_PREFIX:
        fits = MIN_SECRET_BYTES <= len(data) <= MAX_SECRET_BYTES
    else:
        fits = len(data) == ED25519_KEY_BYTES
    if not key.startswith(prefix) or not fits:
        msg = (
            f"a key is {SECRET_PREFIX} and base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} "
            f"random bytes, or {PRIVATE_PREFIX} or {PUBLIC_PREFIX} and base64 of "
            f"{ED25519_KEY_BYTES} bytes"
        )
        raise ValueError(msg)
    return data


def signed_bytes(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return what is signed."""
    return b"%s.%d.%s" % (message_id.encode(), timestamp, body)


def sign(key: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature, ``v1,...`` or ``v1a,...`` according to the key."""
    content = signed_bytes(message_id, timestamp, body)
    if key.startswith(SECRET_PREFIX):
        digest = hmac.new(decode_key(key, SECRET_PREFIX), content, hashlib.sha256).digest()
        return f"v1,{_encoded(digest)}"
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(decode_key(key, PRIVATE_PREFIX))
    return f"v1a,{_encoded(private.sign(content))}"


def headers(message_id: str, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Return the three headers of a request, signed with each of ``keys``.

    Args:
        message_id: The event's id, the same over all attempts; without a dot.
        timestamp: Unix seconds of this attempt.
        body: The very bytes that are sent.
        keys: The current key, and during a rotation the one before it.
    """
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(sign(key, message_id, timestamp, body) for key in keys),
    }


def matches(key: str, message_id: str, timestamp: int, body: bytes, signature: str) -> bool:
    """Tell whether one signature of a header is ``key``'s; unknown or malformed ones are not."""
    version, _, encoded = signature.partition(",")
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    content = signed_bytes(message_id, timestamp, body)
    if version == SignatureAlgorithm.HMAC and key.startswith(SECRET_PREFIX):
        secret = decode_key(key, SECRET_PREFIX)
        return hmac.compare_digest(hmac.new(secret, content, hashlib.sha256).digest(), given)
    if version == SignatureAlgorithm.ED25519 and key.startswith(PUBLIC_PREFIX):
        return _is_signed_by(decode_key(key, PUBLIC_PREFIX), content, given)
    return False


def _is_signed_by(public_key: bytes, content: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()

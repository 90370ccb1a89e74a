"""Keys of the encryption of payloads, and how an encrypted payload looks.

The cipher is in ``adapters.codec``; here is what a process without it needs as well, to say which
key is missing instead of what it can't parse.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from temporalio.api.common.v1 import Payload

from jobs.errors import ConveyorError, PermanentError

ENCODING: Final = b"binary/encrypted"
METADATA_KEY_ID: Final = "encryption-key-id"
KEY_BYTES: Final = 32
KEY_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
FIX: Final = "`starter.py encryption-key` makes one"


class EncryptionKeyMissing(ConveyorError):
    """A payload is encrypted under a key that this process does not have.

    No error of the job: a worker that lacks the key does not fail it. The workflow waits for a
    worker that has the key, and a step is tried again and then held (``HOLD_ON``).
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"a payload is encrypted under the key id {key_id!r}, which this process does not "
            "have: add that key to CONVEYOR_ENCRYPTION_KEYS, after the first"
        )


class PayloadAltered(PermanentError):
    """An encrypted payload was altered, or belongs to another job."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """One AES-256 key."""

    id: str
    secret: bytes = field(repr=False)


def parse_keys(text: str) -> Sequence[EncryptionKey]:
    """Return the keys that ``id:base64,id:base64`` writes; lines may stand for commas.

    Raises:
        ValueError: one is wrong; told by its place, since what was written may be the key itself.
    """
    entries = re.split(r"[,\s]+", text.strip())
    keys = [_parse(place, entry) for place, entry in enumerate(entries, 1)]
    places: dict[str, int] = {}
    for place, key in enumerate(keys, 1):
        if (earlier := places.setdefault(key.id, place)) != place:
            msg = f"keys {earlier} and {place} have the same id: rename the one that is not in use"
            raise ValueError(msg)
    return keys


def new_key(key_id: str) -> str:
    """Return a fresh key, as ``parse_keys`` reads it."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _parse(place: int, entry: str) -> EncryptionKey:
    key_id, colon, encoded = entry.partition(":")
    if not colon:
        msg = f"key {place} is not of the form id:base64; {FIX}"
        raise ValueError(msg)
    if not KEY_ID_PATTERN.fullmatch(key_id):
        msg = f"the id of key {place} has other characters than letters, digits and '_.-'"
        raise ValueError(msg)
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        msg = f"key {place} is not base64; {FIX}"
        raise ValueError(msg) from None
    if len(secret) != KEY_BYTES:
        msg = f"key {place} has {len(secret)} bytes instead of {KEY_BYTES}; {FIX}"
        raise ValueError(msg)
    return EncryptionKey(key_id, secret)


def key_id_of(payload: Payload) -> str | None:
    """Return the id of the key that a payload is encrypted under, or None if it is not."""
    if payload.metadata.get("encoding") != ENCODING:
        return None
    return payload.metadata.get(METADATA_KEY_ID, b"").decode(errors="replace")[:64]

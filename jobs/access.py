"""Who may do what over HTTP: keys, scopes, and what an owner's jobs may touch.

A key is ``sk_<id>_<secret>``. It is shown once; what is kept is the SHA-256 of it. Jobs and files
belong to owners, and an owner's job ids and files carry a short hash of the owner's name, so that
no owner can take or guess the ids of another, and no name stands in an id.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import Field

from jobs.base import Contract
from jobs.errors import InvalidInputError, Problem
from jobs.validation import resolve

TOKEN_PATTERN: Final = re.compile(r"sk_([A-Za-z0-9]{12})_[A-Za-z0-9_\-]{43}")
ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_LENGTH: Final = 12
SECRET_BYTES: Final = 32
OWNER_HASH_LENGTH: Final = 12
OWNER_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-@+]{0,63}")
OWNED_KEY_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,99}")

INTERNAL_KINDS: Final = frozenset({"delivery", "webhook"})
"""Kinds whose jobs the service starts itself, about records that an id in the input names."""
COMMON_FILES: Final = ("examples/",)
"""Keys below these any owner may use."""


class Scope(StrEnum):
    """What a key allows; each includes those before it."""

    READ = "jobs:read"
    """See one's own jobs, logs, results, files."""
    WRITE = "jobs:write"
    """Also submit, cancel, upload."""
    ADMIN = "jobs:admin"
    """Also see and act on every owner's jobs; queues, schedules, redrives."""


class ApiKey(Contract):
    """What is known of a key; the key itself is not."""

    id: str
    owner: str
    scopes: list[Scope] = Field(min_length=1)
    label: str = ""
    """What it is for, as its maker wrote."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the minute."""

    def usable(self, now: datetime) -> bool:
        """Tell whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Token:
    """A new key, as it is shown this once."""

    id: str
    text: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return a fresh one, of 256 random bits."""
        key_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        return cls(key_id, f"sk_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}")


def key_id_of(text: str) -> str | None:
    """Return the id in a presented key, or None if it has not the shape of one."""
    match = TOKEN_PATTERN.fullmatch(text)
    return match[1] if match else None


def token_hash(text: str) -> str:
    """Return what is kept of a key; 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, kept: str) -> bool:
    """Tell whether ``text`` is the key of which ``kept`` is the hash, in constant time."""
    return hmac.compare_digest(token_hash(text).encode(), kept.encode())


def check_owner(owner: str) -> None:
    """Refuse what can be no owner.

    Raises:
        InvalidInputError: with the characters that can.
    """
    if not OWNER_PATTERN.fullmatch(owner):
        message = f"{owner!r}: use letters, digits and '_.:-@+', at most 64 characters"
        raise InvalidInputError([Problem("owner", message)])


def owner_hash(owner: str) -> str:
    """Return what stands for an owner in ids and storage keys."""
    return hashlib.sha256(owner.encode()).hexdigest()[:OWNER_HASH_LENGTH]


def owned_key(owner: str, key: str) -> str:
    """Return the submission key for an owner's ``Idempotency-Key``.

    Raises:
        InvalidInputError: it has characters that an id can't have, or is too long.
    """
    if not OWNED_KEY_PATTERN.fullmatch(key):
        message = (
            "use letters, digits, '_', '-', '.' and ':', beginning with a letter or digit, "
            "at most 100 characters"
        )
        raise InvalidInputError([Problem("Idempotency-Key", message)])
    return f"{owner_hash(owner)}.{key}"


def upload_prefix(owner: str) -> str:
    """Return the prefix of the storage keys of an owner's uploads."""
    return f"uploads/{owner_hash(owner)}/"


def stored_files(schema: Mapping[str, Any], data: object) -> Iterator[tuple[str, str]]:
    """Yield the path and the key of every stored file that an input names."""
    yield from _stored_files(schema, schema, data, "")


def _stored_files(
    whole: Mapping[str, Any], here: Mapping[str, Any], data: object, path: str
) -> Iterator[tuple[str, str]]:
    here = resolve(here, whole)
    if here.get("format") == "stored-file" and isinstance(data, str):
        yield path, data
    for member in (*here.get("anyOf", ()), *here.get("oneOf", ()), *here.get("allOf", ())):
        yield from _stored_files(whole, member, data, path)
    if isinstance(data, Mapping):
        fields: Mapping[str, Any] = here.get("properties", {})
        for name, value in data.items():
            inner = fields.get(name, here.get("additionalProperties"))
            if isinstance(inner, Mapping):
                yield from _stored_files(whole, inner, value, f"{path}.{name}".lstrip("."))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        items = here.get("items")
        if isinstance(items, Mapping):
            for index, value in enumerate(data):
                yield from _stored_files(whole, items, value, f"{path}.{index}".lstrip("."))

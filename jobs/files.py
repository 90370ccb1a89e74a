"""Stored objects as steps see them, and what can go wrong with them.

An object is named by its key, ``jobs/<job id>/<name>-<start of sha256>.<ext>``: content in the key
makes a repeated step write the same object again.
"""

from dataclasses import dataclass
from datetime import datetime

from jobs.errors import PermanentError, TransientError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object in storage, as it was when it was written, read or listed."""

    key: str
    size: int
    """Bytes."""
    sha256: str | None = None
    """Hexadecimal, of the whole content; only known to whoever wrote or read all of it."""
    modified_at: datetime | None = None
    """By the store's clock; not known to whoever has just written it."""


class ObjectNotFound(PermanentError):
    """There is no object under the key: never stored, or deleted after its retention."""


class ObjectTooLarge(PermanentError):
    """The object is larger than the step may read."""


class ObjectExists(PermanentError):
    """Another object is under a key that must be new."""


class InvalidKey(PermanentError):
    """The key can't name an object."""


class StorageDenied(PermanentError):
    """The store refused the credentials, or what they may do."""


class StorageUnavailable(TransientError):
    """The store can't be reached, is full, or failed."""

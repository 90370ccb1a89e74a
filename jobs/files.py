"""Stored objects as steps see them, and what can go wrong with them.

An object is named by its key, ``jobs/<job id>/<name>-<start of sha256>.<ext>``: content in the key
makes a repeated step write the same object again.
"""

import errno
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.errors import PermanentError, TransientError

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers by which an ``OSError`` says that a disk, or somebody's share of it, is full."""


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


class StorageFull(PermanentError):
    """The store has no room left: make some."""


class StorageUnavailable(TransientError):
    """The store can't be reached, or failed."""


def folder_of(job_id: str) -> str:
    """Return a job's id as one part of a storage key."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in "._-@+" else "=" for c in job_id)


def job_of_folder(folder: str) -> str:
    """Return the id of the job whose files lie in that folder below ``jobs/``.

    The only character of job ids that a key can't have is the colon.
    """
    return folder.replace("=", ":")

"""The store's errors as ours. Its texts quote folders and hosts and go into no history."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from jobs.base import check_key
from jobs.files import (
    NO_ROOM,
    InvalidKey,
    ObjectNotFound,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
)

LONGEST_PART: Final = 240
"""Bytes of a key between slashes: a file name has 255, and a file being written needs some."""

REFUSED: Final = "the storage refused its credentials, or they may not do this: check them"

OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")
HTTP_STATUS: Final = re.compile(r"status(?: code)?:? (\d{3})")

NOT_A_KEY_HERE: Final = {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL}
DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


def checked(key: str) -> str:
    """Return ``key`` if every store can keep an object under it.

    Raises:
        InvalidKey: it can't; the message says why.
    """
    try:
        check_key(key)
    except ValueError as error:
        raise InvalidKey(str(error)) from None
    parts = key.split("/")
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        msg = f"a part of a storage key has at most {LONGEST_PART} bytes"
        raise InvalidKey(msg)
    if any(re.search(r"#\d+$|[\x00-\x1f\x7f]", part) for part in parts):
        msg = "no part of a storage key ends in '#' and digits or has control characters"
        raise InvalidKey(msg)
    return key


@contextmanager
def translated(key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what the store raises about ``key`` into the errors of ``jobs.files``."""
    try:
        yield
    except (FileNotFoundError, NotFoundError):
        if writing:
            msg = "the bucket or folder of the storage doesn't exist: make it, or mend the URL"
            raise StorageDenied(msg) from None
        raise ObjectNotFound(f"there is no object {key!r} in the storage") from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise StorageDenied(REFUSED) from None
    except PreconditionError:
        msg = f"the object {key!r} was replaced while it was being read"
        raise StorageUnavailable(msg) from None
    except ValueError:
        raise InvalidKey(f"{key!r} can't be the key of an object") from None
    except BaseError as error:
        raise _from_text(str(error), key) from None
    except OSError as error:
        raise _from_number(error.errno or 0, key) from None


def of_temporary_file(error: OSError) -> Exception:
    """Return what to raise where a copy of an object can't be written to the worker's own disk."""
    if error.errno in NO_ROOM:
        return StorageFull("the disk of the worker is full. Make room")
    return StorageUnavailable(f"a temporary file can't be written: {error.strerror}")


def _from_text(text: str, key: str) -> Exception:
    if match := OS_ERROR.search(text):
        return _from_number(int(match[1]), key)
    status = HTTP_STATUS.search(text)
    if status is None:
        return StorageUnavailable("the storage can't be reached, or stopped answering")
    if int(status[1]) in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return StorageDenied(REFUSED)
    if int(status[1]) == HTTPStatus.INSUFFICIENT_STORAGE:
        return StorageFull("the storage is full, it says. Make room")
    return StorageUnavailable(f"the storage failed with HTTP status {status[1]}")


def _from_number(number: int, key: str) -> Exception:
    if number in NOT_A_KEY_HERE:
        return InvalidKey(f"{key!r} can't be the key of an object: {os.strerror(number)}")
    if number in DENIED:
        return StorageDenied(f"the storage folder can't be used: {os.strerror(number)}")
    if number in NO_ROOM:
        return StorageFull(f"the storage is full: {os.strerror(number)}. Make room")
    return StorageUnavailable(f"the storage failed: {os.strerror(number)}")

"""Writing one object piece by piece, its hash computed on the way."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import obstore
from obstore.exceptions import BaseError

from adapters.storage.translation import translated
from jobs.files import StoredObject

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ObjectStore

PART_BYTES: Final = 8 * 1024 * 1024
"""What is sent or read at once; a larger object goes in parts of this size."""
PARTS_AT_ONCE: Final = 4

HASHED_INLINE_BYTES: Final = 256 * 1024
"""More than this is hashed in a thread, so that the event loop goes on."""


class Digest:
    """A growing SHA-256 and the number of bytes in it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    async def update(self, data: bytes) -> None:
        """Add ``data``."""
        self.size += len(data)
        if len(data) > HASHED_INLINE_BYTES:
            await asyncio.to_thread(self._hash.update, data)
        else:
            self._hash.update(data)

    def of(self, key: str) -> StoredObject:
        """Return what is now stored under ``key``."""
        return StoredObject(key=key, size=self.size, sha256=self._hash.hexdigest())


class ObjectWriter:
    """A context that writes one object; the object is there when the body ends, not before.

    When the body raises, or its task is cancelled, nothing appears under the key.
    """

    def __init__(
        self, store: "ObjectStore", key: str, settle: Callable[[str], Awaitable[None]]
    ) -> None:
        self._store = store
        self._key = key
        self._settle = settle
        self._digest = Digest()

    async def __aenter__(self) -> Self:
        self._file: AsyncWritableFile = obstore.open_writer_async(
            self._store, self._key, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        with translated(self._key, writing=True):
            await self._file.__aenter__()
        return self

    async def write(self, data: bytes) -> None:
        """Append ``data``."""
        with translated(self._key, writing=True):
            await self._file.write(data)
        await self._digest.update(data)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            with suppress(BaseError, OSError):  # the body's error is the one to tell
                await self._file.__aexit__(kind, error, traceback)
            return
        with translated(self._key, writing=True):
            await self._file.__aexit__(None, None, None)
        await self._settle(self._key)

    @property
    def stored(self) -> StoredObject:
        """What has been written; the whole object, once the body has ended."""
        return self._digest.of(self._key)

"""Objects in a local folder, in S3 or in memory.

Every put is atomic: a reader sees the old object, the new one or none. In a local folder a put
counts as done only after file and folder are on disk. Calls to S3 are bounded and retried for
seconds only; the retries that last are the job's. Content types and file names are not kept here,
because a folder can't: they go with the object's row in the database.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from adapters.storage.local import make_durable, sweep_unfinished
from adapters.storage.opening import open_store
from adapters.storage.translation import checked, of_temporary_file, translated
from adapters.storage.writing import PART_BYTES, PARTS_AT_ONCE, Digest, ObjectWriter
from jobs.files import ObjectExists, ObjectTooLarge, StoredObject

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import ObjectStore

LONGEST_LINK: Final = timedelta(days=7)

STAGING: Final = ".staging"
"""Where large objects are uploaded that must not replace another; listings leave it out."""
ABANDONED_AFTER: Final = timedelta(days=1)


class Storage:
    """An open object store."""

    def __init__(self, store: "ObjectStore", folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(
        cls,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> "Storage":
        """Open the store at ``url``. Nothing needs closing.

        Args:
            url: ``file:///folder`` (made if it isn't there, for its owner alone),
                ``s3://bucket/prefix``, or ``memory:``, which is lost with the process.
            endpoint: Address of an S3-compatible store; None for AWS.
            region: Region of the bucket.
            access_key_id: None to take it from the environment or the machine's role, as AWS does.
            secret_access_key: As ``access_key_id``.

        Raises:
            ValueError: ``url`` names no store, or its folder can't be made.
        """
        store, folder = open_store(
            url,
            endpoint=endpoint,
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        return cls(store, folder)

    async def put(self, key: str, data: bytes, *, create: bool = False) -> StoredObject:
        """Store ``data`` under ``key``, replacing what is there.

        With ``create`` an object that is there stays: one of the same size counts as an earlier
        attempt's and the put as done, so put content into the key; repeat it as often as you like.

        Raises:
            ObjectExists: with ``create``, an object of another size is there.
            InvalidKey: ``key`` can't name an object.
            StorageDenied: the store refused the credentials.
            StorageFull: the store has no room left.
            StorageUnavailable: the store is away or failing.
        """
        checked(key)
        if create and len(data) > PART_BYTES:
            return await self._create_large(key, len(data), _slices(data))
        digest = Digest()
        await digest.update(data)
        with translated(key, writing=True):
            try:
                await obstore.put_async(
                    self._store,
                    key,
                    data,
                    mode="create" if create else "overwrite",
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
            except AlreadyExistsError:
                await self._expect_size(key, len(data))
        await self._settle(key)
        return digest.of(key)

    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        """Store the file at ``path`` as ``put`` does, in constant memory; raises as it does."""
        checked(key)
        size = (await asyncio.to_thread(path.stat)).st_size
        if create and size <= PART_BYTES:
            return await self.put(key, await asyncio.to_thread(path.read_bytes), create=True)
        if create:
            return await self._create_large(key, size, _chunks(path))
        async with self.writer(key) as writer:
            async for chunk in _chunks(path):
                await writer.write(chunk)
        return writer.stored

    def writer(self, key: str) -> ObjectWriter:
        """Return a context that writes one object, piece by piece.

        It appears under ``key``, replacing what is there, when the body ends; when the body raises,
        it doesn't.
        """
        return ObjectWriter(self._store, checked(key), self._settle)

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return the content of ``key``, unless it has more than ``limit`` bytes.

        Raises:
            ObjectNotFound: nothing is stored there.
            ObjectTooLarge: it has more than ``limit`` bytes; none was read.
        """
        with translated(checked(key)):
            found = await obstore.get_async(self._store, key)
            _check_limit(key, found.meta["size"], limit)
            return bytes(await found.bytes_async())

    async def fetch(self, key: str, path: Path, *, limit: int | None = None) -> StoredObject:
        """Copy the content of ``key`` to the file ``path``; raises as ``get`` does.

        The file is gone when it raises.
        """
        with translated(checked(key)):
            found = await obstore.get_async(self._store, key)
        _check_limit(key, found.meta["size"], limit)
        digest = Digest()
        try:
            file = await asyncio.to_thread(path.open, "wb")
            try:
                async for chunk in self._read(key, found):
                    await asyncio.to_thread(file.write, chunk)
                    await digest.update(chunk)
            finally:
                await asyncio.to_thread(file.close)
        except OSError as error:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise of_temporary_file(error) from None
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise
        return replace(digest.of(key), modified_at=found.meta["last_modified"])

    async def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the content of ``key`` from byte ``start`` on, in large pieces.

        Raises:
            ObjectNotFound: nothing is stored there.
        """
        with translated(checked(key)):
            if start and (await obstore.head_async(self._store, key))["size"] <= start:
                return
            found = await obstore.get_async(
                self._store, key, options={"range": {"offset": start}} if start else None
            )
        async for chunk in self._read(key, found):
            yield chunk

    async def piece(self, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of ``key`` from byte ``start`` on; fewer at its end.

        Raises:
            ObjectNotFound: nothing is stored there.
        """
        with translated(checked(key)):
            size = (await obstore.head_async(self._store, key))["size"]
            if start >= size or not length:
                return b""
            end = min(start + length, size)
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=end))

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of ``key`` without reading it, or None if it isn't there."""
        with translated(checked(key)):
            try:
                return _described(await obstore.head_async(self._store, key))
            except FileNotFoundError:
                return None

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield every object below ``prefix``, in no order; ``""`` means all.

        ``prefix`` is whole parts of a key: ``jobs/a`` has ``jobs/a/x`` below it, not ``jobs/ab``.
        """
        prefix = prefix.rstrip("/")
        with translated(checked(prefix) if prefix else ""):
            async for found in obstore.list(self._store, prefix or None):
                for meta in found:
                    if prefix.startswith(STAGING) or not meta["path"].startswith(f"{STAGING}/"):
                        yield _described(meta)

    async def delete(self, key: str) -> None:
        """Delete ``key``; if it isn't there, that is fine."""
        with translated(checked(key)), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below ``prefix`` and return how many there were."""
        checked(prefix.rstrip("/"))
        deleted = 0
        async for found in self.list(prefix):
            await self.delete(found.key)
            deleted += 1
        return deleted

    async def download_url(self, key: str, ttl: timedelta) -> str | None:
        """Return a link to ``key`` that works for ``ttl`` without credentials.

        None means that this store has no links: serve the object through the HTTP API.

        Raises:
            ValueError: ``ttl`` is longer than seven days, which S3 doesn't sign.
        """
        if not isinstance(self._store, S3Store):
            return None
        if ttl > LONGEST_LINK:
            msg = f"a link works for at most {LONGEST_LINK.days} days"
            raise ValueError(msg)
        with translated(checked(key)):
            return await obstore.sign_async(self._store, "GET", key, ttl)

    async def sweep(self, older_than: timedelta = ABANDONED_AFTER) -> int:
        """Delete what killed processes left half written, if it is so old; return how many.

        Call it when a worker starts. On S3 also let a lifecycle rule of the bucket abort
        multipart uploads, which no listing shows.
        """
        swept = 0
        if self._folder is not None:
            with translated(""):
                swept += await asyncio.to_thread(sweep_unfinished, self._folder, older_than)
        now = datetime.now(UTC)
        async for found in self.list(STAGING):
            if found.modified_at is not None and now - found.modified_at > older_than:
                await self.delete(found.key)
                swept += 1
        return swept

    async def check(self) -> None:
        """Write, read and delete a small object; raises as they do."""
        key = f"{STAGING}/{uuid4().hex}"
        await self.put(key, b"check")
        await self.get(key)
        await self.delete(key)

    async def _create_large(
        self, key: str, size: int, chunks: AsyncIterator[bytes]
    ) -> StoredObject:
        if await self.stat(key) is not None:  # an earlier attempt's: no need to send it again
            await self._expect_size(key, size)
            digest = Digest()
            async for chunk in chunks:
                await digest.update(chunk)
            await self._settle(key)
            return digest.of(key)
        # Put-if-absent takes one request, with all of it in memory; so upload aside, then copy
        # inside the store, which can refuse to overwrite.
        staged = f"{STAGING}/{uuid4().hex}"
        async with self.writer(staged) as writer:
            async for chunk in chunks:
                await writer.write(chunk)
        try:
            with translated(key, writing=True):
                try:
                    await obstore.copy_async(self._store, staged, key, overwrite=False)
                except AlreadyExistsError:
                    await self._expect_size(key, size)
        finally:
            await self.delete(staged)
        await self._settle(key)
        return replace(writer.stored, key=key)

    async def _expect_size(self, key: str, size: int) -> None:
        found = await obstore.head_async(self._store, key)
        if found["size"] != size:
            msg = f"{key!r} already has another object, of {found['size']} bytes and not {size}"
            raise ObjectExists(msg)

    async def _settle(self, key: str) -> None:
        if self._folder is not None:
            with translated(key, writing=True):
                await asyncio.to_thread(make_durable, self._folder, key)

    async def _read(self, key: str, found: "GetResult") -> AsyncIterator[bytes]:
        with translated(key):
            if self._folder is None:
                async for chunk in found.stream(min_chunk_size=PART_BYTES):
                    yield bytes(chunk)
                return
            # A folder's stream comes in pieces of 8 KiB and costs fifteen times as much CPU.
            begin, end = found.range
            for start in range(begin, end, PART_BYTES):
                part = await obstore.get_async(
                    self._store,
                    key,
                    options={
                        "range": (start, min(start + PART_BYTES, end)),
                        "if_match": found.meta["e_tag"],
                    },
                )
                yield bytes(await part.bytes_async())


def _described(meta: "ObjectMeta") -> StoredObject:
    return StoredObject(key=meta["path"], size=meta["size"], modified_at=meta["last_modified"])


def _check_limit(key: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise ObjectTooLarge(f"{key!r} has {size} bytes; at most {limit} are read")


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PART_BYTES):
        yield data[start : start + PART_BYTES]


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, PART_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)

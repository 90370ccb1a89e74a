"""Storage over a local folder, memory and a real S3 server: one behaviour."""

import asyncio
import errno
import hashlib
import os
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from adapters.storage import Storage
from adapters.storage.translation import translated
from adapters.storage.writing import PART_BYTES
from jobs.files import (
    InvalidKey,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
    StoredObject,
)
from tests.adapters.conftest import open_s3
from tests.servers import S3Server

LARGE = os.urandom(PART_BYTES + 1)
"""Goes in two parts."""


async def keys(storage: Storage, prefix: str = "") -> list[str]:
    """Return the keys below ``prefix``, sorted."""
    return sorted([found.key async for found in storage.list(prefix)])


async def read(storage: Storage, key: str, start: int = 0) -> bytes:
    """Return all that streams from ``key``."""
    return b"".join([chunk async for chunk in storage.stream(key, start=start)])


async def test_what_was_put_is_got_and_described(storage: Storage) -> None:
    stored = await storage.put("jobs/a/note.txt", b"hello")

    assert stored == StoredObject(
        key="jobs/a/note.txt", size=5, sha256=hashlib.sha256(b"hello").hexdigest()
    )
    assert await storage.get("jobs/a/note.txt") == b"hello"
    found = await storage.stat("jobs/a/note.txt")
    assert found is not None
    assert (found.key, found.size, found.sha256) == ("jobs/a/note.txt", 5, None)
    assert found.modified_at is not None


async def test_a_put_replaces_what_is_there(storage: Storage) -> None:
    await storage.put("a", b"first")
    await storage.put("a", b"second one")

    assert await storage.get("a") == b"second one"


async def test_an_empty_object_is_an_object(storage: Storage) -> None:
    await storage.put("empty", b"")

    assert await storage.get("empty") == b""
    assert await read(storage, "empty") == b""
    assert await keys(storage) == ["empty"]


async def test_creating_again_what_an_earlier_attempt_created_is_done(storage: Storage) -> None:
    first = await storage.put("a-5d41.txt", b"hello", create=True)

    assert await storage.put("a-5d41.txt", b"hello", create=True) == first


async def test_creating_does_not_replace_another_object(storage: Storage) -> None:
    await storage.put("a", b"first", create=True)

    with pytest.raises(ObjectExists, match="5 bytes and not 10"):
        await storage.put("a", b"second one", create=True)
    assert await storage.get("a") == b"first"


async def test_of_many_that_create_one_key_at_once_exactly_one_wins(storage: Storage) -> None:
    contents = [b"x" * size for size in range(1, 9)]

    outcomes = await asyncio.gather(
        *(storage.put("a", content, create=True) for content in contents), return_exceptions=True
    )

    winners = [outcome for outcome in outcomes if isinstance(outcome, StoredObject)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, ObjectExists)]
    assert (len(winners), len(refused)) == (1, 7)
    assert len(await storage.get("a")) == winners[0].size


async def test_a_large_object_is_created_once_and_leaves_nothing_beside_it(
    storage: Storage, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)

    first = await storage.put_file("large", path, create=True)

    assert await storage.put("large", LARGE, create=True) == first
    with pytest.raises(ObjectExists):
        await storage.put("large", LARGE + b"!", create=True)
    assert first.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert await storage.get("large") == LARGE
    assert await keys(storage) == ["large"]
    assert await keys(storage, ".staging") == []


async def test_a_file_is_put_and_fetched_whole(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)

    stored = await storage.put_file("large", source)
    fetched = await storage.fetch("large", target)

    assert stored.sha256 == fetched.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert stored.size == fetched.size == len(LARGE)
    assert target.read_bytes() == LARGE


async def test_more_than_the_limit_is_not_read(storage: Storage, tmp_path: Path) -> None:
    await storage.put("a", b"hello")

    assert await storage.get("a", limit=5) == b"hello"
    with pytest.raises(ObjectTooLarge, match="has 5 bytes; at most 4 are read"):
        await storage.get("a", limit=4)
    with pytest.raises(ObjectTooLarge):
        await storage.fetch("a", tmp_path / "a", limit=4)
    assert not (tmp_path / "a").exists()


async def test_a_missing_object_is_named(storage: Storage, tmp_path: Path) -> None:
    assert await storage.stat("no/such") is None
    for reading in (
        storage.get("no/such"),
        storage.fetch("no/such", tmp_path / "a"),
        read(storage, "no/such"),
        read(storage, "no/such", start=3),
    ):
        with pytest.raises(ObjectNotFound, match="no object 'no/such'"):
            await reading


async def test_a_stream_goes_on_where_it_is_told(storage: Storage) -> None:
    await storage.put("large", LARGE)

    assert await read(storage, "large") == LARGE
    assert await read(storage, "large", start=PART_BYTES - 10) == LARGE[PART_BYTES - 10 :]
    assert await read(storage, "large", start=len(LARGE)) == b""
    assert await read(storage, "large", start=len(LARGE) + 1) == b""


async def test_an_object_replaced_while_it_is_read_from_a_folder_is_not_mixed(
    tmp_path: Path,
) -> None:
    storage = Storage.open(f"file://{tmp_path}")
    await storage.put("large", LARGE)
    stream = aiter(storage.stream("large"))
    await anext(stream)

    await storage.put("large", LARGE[::-1])

    with pytest.raises(StorageUnavailable, match="replaced while it was being read"):
        await anext(stream)


async def test_a_prefix_is_whole_parts_of_a_key(storage: Storage) -> None:
    for key in ("jobs/a/1", "jobs/a/2/x", "jobs/ab/1", "other"):
        await storage.put(key, b".")

    assert await keys(storage, "jobs/a") == ["jobs/a/1", "jobs/a/2/x"]
    assert await keys(storage, "jobs/a/") == ["jobs/a/1", "jobs/a/2/x"]
    assert await keys(storage, "none") == []
    assert len(await keys(storage)) == 4


async def test_deleting_is_repeatable(storage: Storage) -> None:
    for key in ("jobs/a/1", "jobs/a/2/x", "jobs/ab/1"):
        await storage.put(key, b".")

    await storage.delete("never/there")
    assert await storage.delete_prefix("jobs/a") == 2
    assert await storage.delete_prefix("jobs/a") == 0
    assert await keys(storage) == ["jobs/ab/1"]


async def test_nothing_deletes_everything(storage: Storage) -> None:
    await storage.put("a", b".")

    with pytest.raises(InvalidKey):
        await storage.delete_prefix("")
    assert await keys(storage) == ["a"]


async def test_a_written_object_appears_when_its_writer_is_done(storage: Storage) -> None:
    async with storage.writer("a") as writer:
        await writer.write(LARGE)
        await writer.write(b"end")
        assert await storage.stat("a") is None

    assert writer.stored.sha256 == hashlib.sha256(LARGE + b"end").hexdigest()
    assert await storage.get("a") == LARGE + b"end"


async def test_a_writer_that_fails_leaves_what_was_there(storage: Storage) -> None:
    await storage.put("a", b"before")

    async def write_and_fail() -> None:
        async with storage.writer("a") as writer:
            await writer.write(LARGE)
            raise RuntimeError("the body's own")

    with pytest.raises(RuntimeError, match="the body's own"):
        await write_and_fail()
    assert await storage.get("a") == b"before"


async def test_a_cancelled_writer_leaves_nothing(storage: Storage) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with storage.writer("a") as writer:
            await writer.write(LARGE)
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await keys(storage) == []


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\x00b", "x" * 241, "a#1", "a#1/b"]
)
async def test_a_key_that_some_store_could_not_keep_is_refused_by_all(
    storage: Storage, key: str
) -> None:
    for call in (storage.put(key, b"."), storage.get(key), storage.stat(key), storage.delete(key)):
        with pytest.raises(InvalidKey):
            await call


@pytest.mark.parametrize("key", ["a b/c", "#/x#y", "wh?t&=+%41", "grüße/日本.txt", "x" * 240])
async def test_an_unusual_key_is_kept(storage: Storage, key: str) -> None:
    await storage.put(key, b"hello")

    assert await storage.get(key) == b"hello"
    assert await keys(storage) == [key]


async def test_a_check_leaves_nothing(storage: Storage) -> None:
    await storage.check()

    assert await keys(storage) == await keys(storage, ".staging") == []


async def test_a_sweep_takes_what_is_old_and_unfinished(storage: Storage) -> None:
    await storage.put(".staging/0123", b"left by a killed process")
    await storage.put("kept", b".")

    assert await storage.sweep() == 0
    assert await storage.sweep(older_than=timedelta(seconds=-1)) == 1
    assert await keys(storage, ".staging") == []
    assert await keys(storage) == ["kept"]


async def test_a_link_works_without_credentials_where_the_store_has_links(
    storage: Storage, request: pytest.FixtureRequest
) -> None:
    await storage.put("a b.txt", b"hello")

    link = await storage.download_url("a b.txt", timedelta(minutes=1))

    if "s3" not in request.node.name:
        assert link is None
        return
    assert link is not None
    assert await asyncio.to_thread(http_get, link) == (200, b"hello")
    assert (await asyncio.to_thread(http_get, link.partition("?")[0]))[0] == 403
    with pytest.raises(ValueError, match="at most 7 days"):
        await storage.download_url("a b.txt", timedelta(days=8))


def http_get(url: str) -> tuple[int, bytes]:
    """Return status and body of ``url``."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the tests' server
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


async def test_a_wrong_secret_is_refused_for_good(s3: S3Server) -> None:
    storage = open_s3(s3, prefix="denied", secret="wrong")  # noqa: S106 - it is

    for call in (storage.put("a", b"."), storage.get("a"), keys(storage)):
        with pytest.raises(StorageDenied, match="refused its credentials"):
            await call


async def test_a_store_that_is_away_is_worth_another_attempt(unused_tcp_port: int) -> None:
    storage = Storage.open(
        "s3://bucket",
        endpoint=f"http://127.0.0.1:{unused_tcp_port}",
        access_key_id="key",
        secret_access_key="secret",  # noqa: S106 - of no server
    )

    for call in (storage.put("a", b"."), storage.get("a")):
        with pytest.raises(StorageUnavailable) as caught:
            await call
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        GenericError("Generic LocalFileSystem error: No space left on device (os error 28)"),
        GenericError("Server returned status code: 507 Insufficient Storage"),
    ],
)
def test_a_store_that_is_full_needs_a_person(error: Exception) -> None:
    with pytest.raises(StorageFull, match="full") as caught, translated("a", writing=True):
        raise error
    assert caught.value.non_retryable


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_copy_that_the_own_disk_has_no_room_for_needs_a_person(tmp_path: Path) -> None:
    storage = Storage.open("memory:")
    await storage.put("a", b"content")
    copy = tmp_path / "copy"
    copy.symlink_to("/dev/full")

    with pytest.raises(StorageFull, match="disk of the worker is full"):
        await storage.fetch("a", copy)
    assert not copy.is_symlink()


async def test_a_local_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    Storage.open(f"file://{tmp_path}/with%20space/objects")

    assert (tmp_path / "with space" / "objects").stat().st_mode & 0o777 == 0o700


async def test_a_local_put_is_on_disk_when_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/dev/fd/{descriptor}").resolve().relative_to(tmp_path)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage = Storage.open(f"file://{tmp_path}/o")

    await storage.put("jobs/a/x", b".")
    async with storage.writer("y") as writer:
        await writer.write(b".")

    assert synced == ["o/jobs/a/x", "o/jobs/a", "o/jobs", "o", "o/y", "o"]


async def test_what_a_killed_process_left_in_a_folder_is_swept_when_it_is_old(
    tmp_path: Path,
) -> None:
    storage = Storage.open(f"file://{tmp_path}")
    old, fresh, kept = tmp_path / "a#1", tmp_path / "b#12", tmp_path / "c#d"
    for path in (old, fresh, kept):
        path.write_bytes(b".")
        os.utime(path, (0, 0))
    fresh.touch()

    assert await storage.sweep() == 1
    assert (old.exists(), fresh.exists(), kept.exists()) == (False, True, True)


async def test_a_key_below_another_object_is_refused_where_folders_are_files(
    tmp_path: Path,
) -> None:
    storage = Storage.open(f"file://{tmp_path}")
    await storage.put("a", b".")

    with pytest.raises(InvalidKey, match="Not a directory") as caught:
        await storage.put("a/b", b".")
    assert str(tmp_path) not in str(caught.value)


async def test_emptied_folders_go(tmp_path: Path) -> None:
    storage = Storage.open(f"file://{tmp_path}")
    await storage.put("jobs/a/x", b".")

    await storage.delete_prefix("jobs")

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no path of pathlib may block here


@pytest.mark.parametrize(
    "url", ["", "objects", "ftp://host/x", "file://relative/x", "s3://", "s3:///prefix", "file:"]
)
def test_a_url_that_names_no_store_is_refused_with_the_fix(url: str) -> None:
    with pytest.raises(ValueError, match="write file:///folder, s3://bucket/prefix"):
        Storage.open(url)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match="can't be made: File exists"):
        Storage.open(f"file://{tmp_path}/file/objects")

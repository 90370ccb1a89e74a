"""Nothing that is uploaded can hurt: bombs, crashes and hangs cost one step, and are named."""

import asyncio
import multiprocessing.forkserver
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from adapters.imaging import sniffing
from adapters.imaging.pool import ImagePool
from adapters.imaging.reading import Limits
from adapters.imaging.scratch import Scratch
from jobs.errors import PermanentError, TransientError
from jobs.images import errors
from jobs.images.steps import ImageWork, WorkDone
from tests.bad_pictures import BAD_FILES, PIXELS
from tests.darkroom import (
    Darkroom,
    corners,
    encoded,
    noise,
    scan_bomb,
)


@pytest.fixture(scope="module")
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=1, max_pixels=PIXELS)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_is_refused_for_good_and_named(darkroom: Darkroom, name: str) -> None:
    make, code, message = BAD_FILES[name]
    with pytest.raises(PermanentError, match=message) as caught:
        await darkroom.develop(make())
    assert caught.value.type == code
    assert caught.value.non_retryable


async def test_harmless_damage_is_no_error(darkroom: Darkroom) -> None:
    without_end = encoded(noise(16, 16))[:-12]
    overwritten = bytearray(encoded(noise(200, 200), "JPEG"))
    overwritten[9000:9400] = b"\x55" * 400
    for data in (without_end, bytes(overwritten), scan_bomb(32, 32, 80)):
        assert (await darkroom.develop(data)).made.size > 0


async def test_the_memory_limit_ends_a_decode_cleanly() -> None:
    pool = ImagePool(processes=1, memory=220_000_000)
    try:
        with pytest.raises(errors.DecoderMemory) as caught:
            await Darkroom(pool).develop(encoded(Image.new("RGB", (7000, 7000)), "PNG"))
        assert not caught.value.non_retryable
        assert (await Darkroom(pool).develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


BLUR = {"type": "blur", "radius": 250}


async def test_a_hanging_decode_is_killed_and_its_slot_is_free_again() -> None:
    pool = ImagePool(processes=1)
    try:
        with pytest.raises(errors.DecoderTimeout, match=r"longer than 0\.1 s"):
            await Darkroom(pool, timedelta(seconds=0.1)).develop(scan_bomb(7000, 7000, 88))
        assert (await Darkroom(pool).develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


def openers(file: Path) -> list[int]:
    """Return the processes that have opened ``file``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or not ours
            if any(link.readlink() == file for link in (folder / "fd").iterdir()):
                found.append(int(folder.name))
    return found


async def begin(darkroom: Darkroom, work: ImageWork) -> tuple[asyncio.Future[WorkDone], int]:
    """Begin ``work``; return it and the process that decodes, as soon as it does."""
    while True:
        running = asyncio.ensure_future(darkroom.pool.run(work, darkroom.limit))
        while not running.done():
            if pids := openers(work.path):
                return running, pids[0]
            await asyncio.sleep(0.02)
        await running  # it was over before we saw it: again


async def until_closed(work: ImageWork) -> None:
    """Return when no process has the picture open."""
    while True:
        if not openers(work.path):
            return
        await asyncio.sleep(0.02)


async def test_a_crash_costs_only_its_own_step() -> None:
    pool = ImagePool(processes=2)
    darkroom = Darkroom(pool)
    await pool.warm()
    try:
        with darkroom.work(scan_bomb(7000, 7000, 88)) as work:
            neighbour = asyncio.ensure_future(darkroom.develop(encoded(noise(400, 400)), BLUR))
            doomed, child = await begin(darkroom, work)
            os.kill(child, signal.SIGSEGV)
            with pytest.raises(errors.DecoderCrash, match="exit code -11") as caught:
                await doomed
        assert not caught.value.non_retryable
        assert (await neighbour).made.width == 400
        assert (await darkroom.develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


@pytest.fixture
def fresh_forkserver() -> None:
    """End the process that children are forked from, which other tests began with their modules."""
    server = multiprocessing.forkserver._forkserver
    if (pid := server._forkserver_pid) is not None:  # type: ignore[attr-defined]  # private
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.usefixtures("fresh_forkserver")
async def test_a_child_carries_nothing_of_the_worker() -> None:
    pool = ImagePool(processes=1)
    darkroom = Darkroom(pool)
    await pool.warm()
    try:
        with darkroom.work(scan_bomb(7000, 7000, 88)) as work:
            running, child = await begin(darkroom, work)
            maps = mapped_files(child)
            running.cancel()
        assert "_imaging" in maps
        for library in ("temporal", "pydantic", "sqlalchemy"):
            assert library not in maps
    finally:
        await pool.close()


def mapped_files(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def lose_child(darkroom: Darkroom, work: ImageWork) -> None:
    """Kill the process that decodes, unless the pool itself gives it up before."""
    doomed, child = await begin(darkroom, work)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    await doomed


async def test_the_pool_recovers_from_the_loss_of_all_its_processes() -> None:
    pool = ImagePool(processes=1)
    darkroom = Darkroom(pool)
    try:
        assert (await darkroom.develop(encoded(corners()))).made.width == 120
        server = multiprocessing.forkserver._forkserver
        os.kill(server._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]  # private
        with darkroom.work(scan_bomb(7000, 7000, 88)) as work, pytest.raises(errors.DecoderCrash):
            await lose_child(darkroom, work)
        assert (await darkroom.develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


async def test_cancelling_kills_the_decode() -> None:
    pool = ImagePool(processes=1)
    darkroom = Darkroom(pool)
    await pool.warm()
    try:
        with darkroom.work(scan_bomb(7000, 7000, 88)) as work:
            running, _ = await begin(darkroom, work)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await until_closed(work)
        assert (await darkroom.develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


def test_every_code_of_a_child_is_an_error_class_with_the_promised_retry() -> None:
    transient = {"DecoderMemory", "ScratchUnavailable"}
    for code, error in errors.BY_CODE.items():
        assert error.__name__ == code
        assert issubclass(error, TransientError if code in transient else PermanentError)
    for crash in (errors.DecoderTimeout, errors.DecoderCrash, errors.SourceNotVisible):
        assert issubclass(crash, TransientError)


def test_limits_are_the_handbooks() -> None:
    assert Limits(pixels=1).frames == 1000
    assert Limits(pixels=1).scans == 100
    assert "MPO" not in sniffing.READABLE


def test_scratch_forgets_sweeps_and_stays_in_its_bounds(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, max_bytes=10)
    with scratch.room() as room:
        (room / "a").write_bytes(b"12345678")
        (room / "b").write_bytes(b"12345678")
        scratch.keep("work/one/a", room / "a")
        scratch.keep("work/two/b", room / "b")
    assert scratch.find("work/one/a") is not None
    assert scratch.find("work/two/b") is None
    scratch.forget("work/one/")
    assert scratch.find("work/one/a") is None
    assert [path for path in tmp_path.glob("**/*") if path.is_file()] == []


def test_a_new_worker_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    left = tmp_path / "rooms" / "dead"
    left.mkdir(parents=True)
    (left / "input").write_bytes(b"x")
    fresh = tmp_path / "rooms" / "alive"
    fresh.mkdir()
    long_ago = time.time() - 7200
    for path in (left / "input", left):
        os.utime(path, (long_ago, long_ago))
    with Scratch(tmp_path).room():
        assert not left.exists()
        assert fresh.exists()

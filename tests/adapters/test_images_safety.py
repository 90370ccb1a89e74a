"""Nothing that is uploaded can hurt: bombs, crashes and hangs cost one step, and are named."""

import asyncio
import os
import signal
import struct
import time
import zlib
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
from jobs.images.steps import ImageWork
from tests.darkroom import (
    Darkroom,
    animation,
    corners,
    encoded,
    noise,
    png_chunk,
    png_of_size,
    scan_bomb,
)

PIXELS = 4_000_000


@pytest.fixture(scope="module")
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=1, max_pixels=PIXELS)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40)
JXL = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a" + bytes(40)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    ("data", "error", "named"),
    [
        (b"", "NotAnImage", "empty"),
        (b"hello\n" * 40, "NotAnImage", "text"),
        (b"<!DOCTYPE html><p>404", "NotAnImage", "an HTML page"),
        (b"\xef\xbb\xbf\n<html lang=en>", "NotAnImage", "an HTML page"),
        (b'{"error": "not found"}', "NotAnImage", "JSON"),
        (b"PK\x03\x04" + bytes(60), "NotAnImage", "ZIP"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(20), "NotAnImage", "a video"),
        (bytes(600), "NotAnImage", "no known kind"),
        (SVG, "UnsupportedFormat", "SVG"),
        (b"<svg></svg>", "UnsupportedFormat", "SVG"),
        (b"%PDF-1.7\n", "UnsupportedFormat", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "UnsupportedFormat", "PostScript"),
        (HEIC, "UnsupportedFormat", "HEIC"),
        (JXL, "UnsupportedFormat", "JPEG XL"),
        (b"\xff\x0a" + bytes(40), "UnsupportedFormat", "JPEG XL"),
        (encoded(Image.new("RGB", (4, 4)), "BMP"), "UnsupportedFormat", "BMP"),
    ],
)
async def test_what_is_no_readable_picture_is_named(
    darkroom: Darkroom, data: bytes, error: str, named: str
) -> None:
    with pytest.raises(PermanentError, match=named) as caught:
        await darkroom.develop(data)
    assert caught.value.type == error


def cut(kind: str, part: float) -> bytes:
    """Return the beginning of a picture."""
    data = encoded(noise(64, 64), kind)
    return data[: round(len(data) * part)]


def crc_damaged() -> bytes:
    data = bytearray(encoded(noise(16, 16)))
    data[data.index(b"IDAT") + 100] ^= 0xFF
    return bytes(data)


def stream_damaged() -> bytes:
    """Return a PNG whose checksums are right and whose compressed data are not."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"x")[:2] + b"\xff" * 60)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body + png_chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """Return a PNG with a compressed text of 64 MB."""
    data = encoded(corners())
    bomb = png_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(64_000_000)))
    return data[:33] + bomb + data[33:]


def avif_damaged() -> bytes:
    data = bytearray(encoded(noise(64, 64), "AVIF"))
    at = data.index(b"mdat") + 8
    data[at : at + 400] = b"\xa5" * 400
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (cut("JPEG", 0.5), "Truncated"),
        (encoded(noise(64, 64), "JPEG")[:-2], "Truncated"),
        (cut("PNG", 0.5), "Truncated"),
        (cut("GIF", 0.5), "Truncated"),
        (cut("WEBP", 0.5), "Truncated"),
        (encoded(noise(64, 64), "JPEG")[:60], "Corrupt"),
        (encoded(noise(64, 64))[:20], "Corrupt"),
        (cut("AVIF", 0.5), "Corrupt"),
        (avif_damaged(), "Corrupt"),
        (encoded(noise(64, 64), "TIFF", compression="tiff_lzw")[:3000], "Corrupt"),
        (crc_damaged(), "Corrupt"),
        (stream_damaged(), "Corrupt"),
        (text_bomb(), "Corrupt"),
        (png_of_size(0, 0), "Corrupt"),
        (png_of_size(3000, 3000), "TooManyPixels"),
        (png_of_size(60_000, 60_000), "TooManyPixels"),
        (encoded(Image.new("1", (2100, 2100)), "GIF"), "TooManyPixels"),
        (encoded(Image.new("1", (2100, 2100)), "TIFF"), "TooManyPixels"),
        (animation("GIF", 1001, 4), "TooManyFrames"),
        (animation("TIFF", 1001, 4), "TooManyFrames"),
        (scan_bomb(32, 32, 101), "TooManyScans"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
async def test_damaged_and_oversized_files_are_refused_for_good(
    darkroom: Darkroom, data: bytes, error: str
) -> None:
    with pytest.raises(PermanentError, match=r"source: ") as caught:
        await darkroom.develop(data)
    assert caught.value.type == error
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
    pool = ImagePool(processes=1, step_limit=timedelta(seconds=1))
    try:
        with pytest.raises(errors.DecoderTimeout, match="longer than 1 s"):
            await Darkroom(pool).develop(scan_bomb(4000, 4000, 90))
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


async def child_at_work(work: ImageWork) -> int:
    """Return the process that decodes, as soon as it does."""
    while True:
        if pids := openers(work.path):
            return pids[0]
        await asyncio.sleep(0.02)


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
        with darkroom.work(scan_bomb(4000, 4000, 90)) as work:
            doomed = asyncio.ensure_future(pool.run(work, darkroom.limit))
            neighbour = asyncio.ensure_future(darkroom.develop(encoded(noise(400, 400)), BLUR))
            os.kill(await child_at_work(work), signal.SIGSEGV)
            with pytest.raises(errors.DecoderCrash, match="exit code -11") as caught:
                await doomed
        assert not caught.value.non_retryable
        assert (await neighbour).made.width == 400
        assert (await darkroom.develop(encoded(corners()))).made.width == 120
    finally:
        await pool.close()


async def test_cancelling_kills_the_decode() -> None:
    pool = ImagePool(processes=1)
    darkroom = Darkroom(pool)
    await pool.warm()
    try:
        with darkroom.work(scan_bomb(4000, 4000, 90)) as work:
            running = asyncio.ensure_future(pool.run(work, darkroom.limit))
            await child_at_work(work)
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

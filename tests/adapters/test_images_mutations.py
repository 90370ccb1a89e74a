"""Damaged files by the thousand: each is a picture or a named refusal, and no child dies."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest
from PIL import Image

from adapters.imaging.pool import ImagePool
from jobs.errors import JobError
from tests.darkroom import Darkroom, animation, corners, encoded, exif, noise

REFUSALS = {
    "NotAnImage",
    "UnsupportedFormat",
    "Truncated",
    "Corrupt",
    "TooManyPixels",
    "TooManyFrames",
    "TooManyScans",
    "DecoderMemory",  # a TIFF may claim strips of gigabytes
    "BadOperation",  # a picture may become too narrow for its length
}
OPERATION = {"type": "resize", "width": 20}


@pytest.fixture(scope="module")
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=2, max_pixels=1_000_000)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


def seeds() -> list[bytes]:
    """Return whole pictures of every kind that is read."""
    small, tags = noise(40, 30), exif(orientation=6, copyright="Ada", gps=(1.0, 2.0, 3.0))
    return [
        encoded(small, "JPEG", exif=tags),
        encoded(small, "JPEG", progressive=True),
        encoded(small.convert("CMYK"), "JPEG"),
        encoded(small, "PNG", exif=tags),
        encoded(corners().quantize(16), "PNG"),
        encoded(small, "WEBP", exif=tags),
        encoded(small, "WEBP", lossless=True),
        encoded(small, "AVIF", exif=tags),
        encoded(Image.new("I;16", (30, 20), 999), "TIFF"),
        encoded(small, "TIFF", compression="tiff_lzw"),
        encoded(small, "TIFF", compression="jpeg"),
        animation("GIF"),
        animation("WEBP"),
        animation("PNG"),
    ]


def mutations(count: int) -> Iterator[bytes]:
    """Yield damaged pictures, always the same ones."""
    chance = random.Random(20)  # noqa: S311 - for tests
    whole = seeds()
    for _ in range(count):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(data))
            match chance.randrange(5):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at : at + 4] = chance.choice((b"\xff" * 4, b"\x00" * 4, b"\x7f\xff"))
                case 2:
                    del data[at : at + chance.randrange(1, 40)]
                case 3:
                    data[at:at] = chance.randbytes(chance.randrange(1, 40))
                case _:
                    data = data[: max(at, 1)]
            if not data:
                break
        yield bytes(data)


async def survive(darkroom: Darkroom, count: int) -> dict[str, int]:
    """Process ``count`` damaged pictures, two at a time, and count the outcomes."""
    outcomes: dict[str, int] = {}
    files = mutations(count)

    async def work() -> None:
        for data in files:
            try:
                await darkroom.develop(data, OPERATION)
                outcome = "made"
            except JobError as error:
                outcome = type(error).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    await asyncio.gather(work(), work())
    return outcomes


async def test_damaged_files_are_pictures_or_named_refusals(darkroom: Darkroom) -> None:
    outcomes = await survive(darkroom, 600)
    assert sum(outcomes.values()) == 600
    assert {"made", "Corrupt", "Truncated", "NotAnImage"} <= set(outcomes)
    assert set(outcomes) <= {"made", *REFUSALS}


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_twenty_thousand_damaged_files_kill_no_child(darkroom: Darkroom) -> None:
    outcomes = await survive(darkroom, 20_000)
    assert sum(outcomes.values()) == 20_000
    assert set(outcomes) <= {"made", *REFUSALS}
    whole = await darkroom.develop(encoded(corners()), OPERATION)
    assert whole.image.size == (20, 13)

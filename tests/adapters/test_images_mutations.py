"""Damaged files by the thousand: each is a picture or a named refusal, and no child dies."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from adapters.imaging.pool import ImagePool
from jobs.errors import JobError
from tests.darkroom import Darkroom, corners, encoded
from tests.mutated import OPERATION, PIXELS, mutations

OUTCOMES = {
    "made",
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


@pytest.fixture
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=2, max_pixels=PIXELS)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


async def test_damaged_files_are_pictures_or_named_refusals(darkroom: Darkroom) -> None:
    outcomes: Counter[str] = Counter()
    files = mutations(400)

    async def work() -> None:
        for data in files:
            try:
                await darkroom.develop(data, OPERATION)
                outcomes["made"] += 1
            except JobError as error:
                outcomes[type(error).__name__] += 1

    await asyncio.gather(work(), work())
    assert outcomes.total() == 400
    assert {"made", "Corrupt", "Truncated", "NotAnImage"} <= set(outcomes) <= OUTCOMES
    whole = await darkroom.develop(encoded(corners()), OPERATION)
    assert whole.image.size == (20, 13)


@pytest.mark.slow
def test_twenty_thousand_damaged_files_crash_no_decoder() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutated", "20000"],
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = Counter(json.loads(run.stdout))
    assert outcomes.total() == 20_000
    assert set(outcomes) <= OUTCOMES

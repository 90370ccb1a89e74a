"""Whatever the list of operations, the picture keeps the promises of size, turn and format.

The expected size is worked out here by another way than the pipeline's: one operation after the
other on whole numbers, without drafts, fused decodes or steps.
"""

import asyncio
from collections.abc import Iterator
from math import isclose
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.imaging.geometry import LONGEST_SIDE
from adapters.imaging.pool import ImagePool
from jobs.errors import PermanentError
from tests.darkroom import FORMATS, Darkroom, Developed, corners, encoded, exif

pytestmark = pytest.mark.slow

CALM = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SOURCE = (240, 160)
"""Upright."""

sides = st.integers(1, 400)
gravities = st.sampled_from(["center", "north", "north_east", "south_west", "west"])
boxes = st.fixed_dictionaries(
    {
        "type": st.just("resize"),
        "width": sides,
        "height": sides,
        "fit": st.sampled_from(["inside", "outside", "cover", "contain", "fill"]),
        "gravity": gravities,
        "enlarge": st.booleans(),
        "background": st.sampled_from(["#ffffff", "#00000080", "transparent"]),
    }
)
one_side = st.one_of(
    st.fixed_dictionaries({"type": st.just("resize"), "width": sides, "enlarge": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("resize"), "height": sides}),
)
crops = st.fixed_dictionaries(
    {"type": st.just("crop"), "left": st.integers(0, 60), "top": st.integers(0, 60),
     "width": st.integers(1, 120), "height": st.integers(1, 120)}
)  # fmt: skip
others = st.one_of(
    st.fixed_dictionaries({"type": st.just("rotate"), "angle": st.sampled_from([90, 180, 270])}),
    st.fixed_dictionaries(
        {"type": st.just("flip"), "axis": st.sampled_from(["horizontal", "vertical"])}
    ),
    st.just({"type": "blur", "radius": 2}),
    st.just({"type": "grayscale"}),
    st.fixed_dictionaries(
        {"type": st.just("watermark"), "text": st.sampled_from(["© Ada", "Łódź"]),
         "position": st.one_of(gravities, st.just("tile")),
         "angle": st.sampled_from([0, 33])}
    ),
)  # fmt: skip
operations = st.lists(st.one_of(boxes, one_side, crops, others), max_size=6)


@pytest.fixture(scope="module")
def loop_of_its_own() -> Iterator[asyncio.Runner]:
    """Runs examples one after the other; hypothesis calls plain functions."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def darkroom(loop_of_its_own: asyncio.Runner) -> Iterator[Darkroom]:
    pool = ImagePool(processes=1)
    yield Darkroom(pool)
    loop_of_its_own.run(pool.close())


class Rejected(Exception):
    """An operation can't be done at its place; says how the refusal begins."""


def expected_size(size: tuple[int, int], steps: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the size that the list of operations promises.

    Raises:
        Rejected: an operation can't be done at its place.
    """
    width, height = size
    for step in steps:
        match step["type"]:
            case "rotate" if step["angle"] != 180:
                width, height = height, width
            case "crop":
                if step["left"] + step["width"] > width or step["top"] + step["height"] > height:
                    raise Rejected("crop: the rectangle ends at")
                width, height = step["width"], step["height"]
            case "resize":
                width, height = resized(width, height, step)
                if max(width, height) > LONGEST_SIDE:
                    raise Rejected("resize: the result would be")
    return width, height


def resized(width: int, height: int, step: dict[str, Any]) -> tuple[int, int]:
    asked = (step.get("width"), step.get("height"))
    enlarge, fit = step.get("enlarge", False), step.get("fit", "inside")
    if fit == "fill":
        if enlarge:
            return asked[0] or 0, asked[1] or 0
        return min(asked[0] or 0, width), min(asked[1] or 0, height)
    scales = [a / b for a, b in zip(asked, (width, height), strict=True) if a is not None]
    scale = max(scales) if fit in {"outside", "cover"} else min(scales)
    scale = scale if enlarge else min(1.0, scale)
    scaled = (max(1, round(width * scale)), max(1, round(height * scale)))
    if fit == "cover":
        return min(asked[0] or 0, scaled[0]), min(asked[1] or 0, scaled[1])
    return (asked[0] or 0, asked[1] or 0) if fit == "contain" else scaled


def develop(
    runner: asyncio.Runner, darkroom: Darkroom, data: bytes, steps: list[dict[str, Any]], kind: str
) -> Developed:
    output = {"format": kind} if kind != "auto" else {}
    return runner.run(darkroom.develop(data, *steps, output=output))


@settings(max_examples=150, deadline=None, suppress_health_check=CALM)
@given(
    steps=operations,
    source=st.sampled_from(FORMATS),
    orientation=st.integers(1, 8),
    kind=st.sampled_from(["auto", "jpeg", "png", "webp", "avif"]),
    alpha=st.booleans(),
)
def test_size_format_and_turn_are_as_promised(
    loop_of_its_own: asyncio.Runner,
    darkroom: Darkroom,
    steps: list[dict[str, Any]],
    source: str,
    orientation: int,
    kind: str,
    alpha: bool,
) -> None:
    assume(not (alpha and source == "JPEG"))
    stored = SOURCE if orientation < 5 else SOURCE[::-1]
    picture = corners(*stored).convert("RGBA" if alpha else "RGB")
    data = encoded(picture, source, exif=exif(orientation=orientation))
    try:
        size = expected_size(SOURCE, steps)
    except Rejected as rejected:
        with pytest.raises(PermanentError, match=str(rejected)):
            develop(loop_of_its_own, darkroom, data, steps, kind)
        return
    developed = develop(loop_of_its_own, darkroom, data, steps, kind)
    assert developed.image.size == size == (developed.made.width, developed.made.height)
    wanted = {"auto": {"TIFF": "PNG"}.get(source, source)}.get(kind, kind.upper())
    assert developed.image.format == wanted
    assert developed.image.getexif().get(0x0112, 1) == 1
    assert ("A" in developed.image.getbands()) <= (wanted != "JPEG")
    developed.image.load()


@settings(max_examples=60, deadline=None, suppress_health_check=CALM)
@given(
    turns=st.lists(
        st.sampled_from(
            [("rotate", 90), ("rotate", 180), ("rotate", 270), ("flip", "horizontal"),
             ("flip", "vertical")]
        ),
        max_size=6,
    ),
    orientation=st.integers(1, 8),
)  # fmt: skip
def test_turns_add_up(
    loop_of_its_own: asyncio.Runner,
    darkroom: Darkroom,
    turns: list[tuple[str, Any]],
    orientation: int,
) -> None:
    steps = [{"type": name, "angle" if name == "rotate" else "axis": how} for name, how in turns]
    plain = develop(loop_of_its_own, darkroom, upright(orientation), [], "png").image
    made = develop(loop_of_its_own, darkroom, upright(orientation), steps, "png").image
    grid = [[plain.getpixel((x, y)) for x in (5, 234)] for y in (5, 154)]
    for name, how in turns:
        match name, how:
            case "flip", "horizontal":
                grid = [row[::-1] for row in grid]
            case "flip", _:
                grid = grid[::-1]
            case _:
                for _ in range(how // 90):
                    grid = [list(row) for row in zip(*grid[::-1], strict=True)]
    right, bottom = made.width - 6, made.height - 6
    assert [[made.getpixel((x, y)) for x in (5, right)] for y in (5, bottom)] == grid
    assert isclose(made.width * made.height, plain.width * plain.height)


def upright(orientation: int) -> bytes:
    """Return a picture stored in one of the eight ways."""
    stored = SOURCE if orientation < 5 else SOURCE[::-1]
    return encoded(corners(*stored), "PNG", exif=exif(orientation=orientation))

"""Each operation does what its fields say."""

import io
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from adapters.imaging.pool import ImagePool
from jobs.images.errors import (
    BadOperation,
    GlyphMissing,
    NotAnImage,
    OutputNotPossible,
    TargetSizeUnreachable,
    Truncated,
)
from tests.darkroom import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    Darkroom,
    close,
    corner_colors,
    corners,
    encoded,
    noise,
)


@pytest.fixture(scope="module")
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=1)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"width": 60}, (60, 40)),
        ({"height": 20}, (30, 20)),
        ({"width": 60, "height": 20}, (30, 20)),
        ({"width": 60, "height": 20, "fit": "outside"}, (60, 40)),
        ({"width": 40, "height": 40, "fit": "cover"}, (40, 40)),
        ({"width": 100, "height": 20, "fit": "contain"}, (100, 20)),
        ({"width": 60, "height": 60, "fit": "fill"}, (60, 60)),
        ({"width": 500}, (120, 80)),
        ({"width": 500, "enlarge": True}, (500, 333)),
        ({"width": 300, "height": 300, "fit": "cover"}, (120, 80)),
        ({"width": 100, "height": 300, "fit": "cover"}, (100, 80)),
        ({"width": 300, "height": 300, "fit": "contain"}, (300, 300)),
        ({"width": 300, "height": 40, "fit": "fill"}, (120, 40)),
        ({"width": 300, "height": 40, "fit": "fill", "enlarge": True}, (300, 40)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
async def test_resize_gives_the_size_that_fit_promises(
    darkroom: Darkroom, kind: str, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    data = encoded(corners(), kind)
    developed = await darkroom.develop(data, {"type": "resize", **fields})
    assert developed.image.size == size
    later = await darkroom.develop(
        data, {"type": "flip", "axis": "vertical"}, {"type": "resize", **fields}
    )
    assert later.image.size == size


@pytest.mark.parametrize(
    ("gravity", "kept"),
    [("west", [RED, None, BLUE, None]), ("east", [None, GREEN, None, WHITE])],
)
async def test_cover_keeps_the_part_that_gravity_names(
    darkroom: Darkroom, gravity: str, kept: list[tuple[int, ...] | None]
) -> None:
    operation = {"type": "resize", "width": 40, "height": 80, "fit": "cover", "gravity": gravity}
    developed = await darkroom.develop(encoded(corners()), operation)
    for found, wanted in zip(corner_colors(developed.image), kept, strict=True):
        assert wanted is None or close(found, wanted)


@pytest.mark.parametrize("background", ["#1e1ee6", "transparent", "#1e1ee680"])
async def test_contain_fills_up_with_the_background(darkroom: Darkroom, background: str) -> None:
    operation = {"type": "resize", "width": 120, "height": 200, "fit": "contain"}
    developed = await darkroom.develop(
        encoded(corners()), {**operation, "background": background, "gravity": "north"}
    )
    pixels = developed.image.convert("RGBA")
    assert close(corner_colors(pixels)[0], RED)
    below = pixels.getpixel((60, 190))
    assert isinstance(below, tuple)
    assert below[3] == {"#1e1ee6": 255, "transparent": 0, "#1e1ee680": 128}[background]
    assert background == "transparent" or close(below[:3], BLUE)


async def test_crop_cuts_in_upright_pixels_at_its_place_in_the_list(darkroom: Darkroom) -> None:
    data = encoded(corners())
    first = await darkroom.develop(
        data, {"type": "crop", "left": 80, "top": 0, "width": 40, "height": 26}
    )
    assert first.image.size == (40, 26)
    assert close(corner_colors(first.image)[0], GREEN)
    halved = await darkroom.develop(
        data,
        {"type": "resize", "width": 60},
        {"type": "crop", "left": 40, "top": 27, "width": 20, "height": 13},
    )
    assert close(corner_colors(halved.image)[3], WHITE)


async def test_a_crop_outside_of_the_picture_names_both_sizes(darkroom: Darkroom) -> None:
    crop = {"type": "crop", "left": 100, "top": 0, "width": 40, "height": 26}
    with pytest.raises(BadOperation, match="140 x 26, the picture is 120 x 80"):
        await darkroom.develop(encoded(corners()), crop)


async def test_a_resize_beyond_the_longest_side_is_refused(darkroom: Darkroom) -> None:
    data = encoded(Image.new("RGB", (2, 400)))
    with pytest.raises(BadOperation, match="no side may be over 16383"):
        await darkroom.develop(data, {"type": "resize", "width": 400, "enlarge": True})


@pytest.mark.parametrize("before", [[], [{"type": "grayscale"}]])
async def test_a_resize_to_more_pixels_than_are_decoded_is_refused(
    darkroom: Darkroom, before: list[dict[str, Any]]
) -> None:
    big = {"type": "resize", "width": 16_383, "height": 16_383, "fit": "fill", "enlarge": True}
    with pytest.raises(BadOperation, match="268,402,689 pixels; at most 64,000,000"):
        await darkroom.develop(encoded(corners()), *before, big)


@pytest.mark.parametrize(
    ("operation", "colors"),
    [
        ({"type": "rotate", "angle": 90}, [BLUE, RED, WHITE, GREEN]),
        ({"type": "rotate", "angle": 180}, [WHITE, BLUE, GREEN, RED]),
        ({"type": "rotate", "angle": 270}, [GREEN, WHITE, RED, BLUE]),
        ({"type": "flip", "axis": "horizontal"}, [GREEN, RED, WHITE, BLUE]),
        ({"type": "flip", "axis": "vertical"}, [BLUE, WHITE, RED, GREEN]),
    ],
)
async def test_rotate_is_clockwise_and_flip_mirrors(
    darkroom: Darkroom, operation: dict[str, Any], colors: list[tuple[int, ...]]
) -> None:
    developed = await darkroom.develop(encoded(corners()), operation)
    assert corner_colors(developed.image) == colors


async def test_grayscale_and_blur_take_colour_and_detail_out(darkroom: Darkroom) -> None:
    gray = await darkroom.develop(encoded(corners()), {"type": "grayscale"})
    assert gray.image.mode == "L"
    blurred = await darkroom.develop(encoded(noise(60, 60)), {"type": "blur", "radius": 8})
    spread = ImageStat.Stat(blurred.image.convert("L")).stddev[0]
    assert spread < ImageStat.Stat(noise(60, 60).convert("L")).stddev[0] / 5


CORNERS = {
    "north_west": (0, 0), "north": (1, 0), "north_east": (2, 0),
    "west": (0, 1), "center": (1, 1), "east": (2, 1),
    "south_west": (0, 2), "south": (1, 2), "south_east": (2, 2),
}  # fmt: skip


def changed_box(one: Image.Image, other: Image.Image) -> tuple[int, int, int, int]:
    """Return where two pictures differ."""
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    box = difference.convert("L").point(lambda value: 255 * (value > 10)).getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("gravity", CORNERS)
async def test_a_text_stands_where_its_position_says(darkroom: Darkroom, gravity: str) -> None:
    plain = Image.new("RGB", (600, 600), (90, 120, 90))
    mark = {"type": "watermark", "text": "© Ada", "position": gravity, "opacity": 1}
    developed = await darkroom.develop(encoded(plain), mark)
    left, top, right, bottom = changed_box(developed.image, plain)
    column, row = CORNERS[gravity]
    assert 200 * column - 30 <= (left + right) / 2 <= 200 * column + 230
    assert 200 * row - 30 <= (top + bottom) / 2 <= 200 * row + 230
    assert 130 <= right - left <= 160  # a quarter of the width
    assert min(left, top, 600 - right, 600 - bottom) >= 10  # the margin


@pytest.mark.parametrize(("shade", "ink"), [(20, 255), (235, 0)])
async def test_the_ink_stands_out_from_what_is_below(
    darkroom: Darkroom, shade: int, ink: int
) -> None:
    plain = Image.new("RGB", (400, 300), (shade, shade, shade))
    mark = {"type": "watermark", "text": "HHH", "opacity": 1, "scale": 0.5}
    developed = await darkroom.develop(encoded(plain), mark)
    box = changed_box(developed.image, plain)
    histogram = developed.image.crop(box).convert("L").histogram()
    assert histogram[ink] > sum(histogram) / 10


async def test_opacity_and_colour_of_a_text_are_as_asked(darkroom: Darkroom) -> None:
    plain = Image.new("RGB", (400, 300), (0, 0, 0))
    mark = {"type": "watermark", "text": "███", "color": "#ff0000", "opacity": 0.5, "scale": 0.5}
    developed = await darkroom.develop(encoded(plain), mark)
    peak = developed.image.convert("RGB").getextrema()
    assert peak[0] in {(0, 127), (0, 128)}


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("position", ["south_east", "tile"])
@pytest.mark.parametrize("angle", [0, 30])
async def test_watermarks_go_on_every_kind_of_picture(
    darkroom: Darkroom, mode: str, position: str, angle: int
) -> None:
    plain = Image.new(mode, (200, 120))
    data = encoded(plain)
    common = {"type": "watermark", "position": position, "angle": angle, "scale": 0.2}
    text = await darkroom.develop(data, {**common, "text": "Łódź 5 €"})
    assert text.image.mode == mode  # black and white ink need no colour
    logo = encoded(Image.new("RGBA", (40, 20), (*RED, 255)))
    picture = await darkroom.develop(data, {**common, "image": "logo"}, marks={"logo": logo})
    wanted = {"L": "RGB", "LA": "RGBA"}.get(mode, mode)
    assert picture.image.mode == wanted


async def test_a_tiled_mark_reaches_every_part(darkroom: Darkroom) -> None:
    plain = Image.new("RGB", (600, 600), (90, 120, 90))
    mark = {"type": "watermark", "text": "DRAFT", "position": "tile", "scale": 0.15, "angle": 30}
    developed = await darkroom.develop(encoded(plain), mark)
    for across, down in product(range(3), range(3)):
        box = (200 * across, 200 * down, 200 * across + 200, 200 * down + 200)
        changed_box(developed.image.crop(box), plain.crop(box))


async def test_a_picture_mark_keeps_its_shape_and_transparency(darkroom: Darkroom) -> None:
    plain = Image.new("RGB", (400, 400), (255, 255, 255))
    logo = Image.new("RGBA", (100, 50), (*BLUE, 0))
    logo.paste((*BLUE, 255), (0, 0, 50, 50))
    mark = {"type": "watermark", "image": "logo", "position": "north_west", "opacity": 1}
    developed = await darkroom.develop(
        encoded(plain), {**mark, "scale": 0.5, "margin": 0}, marks={"logo": encoded(logo)}
    )
    box = changed_box(developed.image, plain)
    assert all(abs(a - b) <= 2 for a, b in zip(box, (0, 0, 100, 100), strict=True))
    assert close(corner_colors(developed.image)[0], BLUE)


async def test_a_text_too_long_for_the_picture_is_shrunk_with_a_warning(
    darkroom: Darkroom,
) -> None:
    plain = Image.new("RGB", (60, 60))
    mark = {"type": "watermark", "text": "a very long copyright notice indeed " * 3}
    developed = await darkroom.develop(encoded(plain), mark)
    assert developed.done.warnings == ["watermark_shrunk"]


async def test_characters_that_the_font_lacks_are_named(darkroom: Darkroom) -> None:
    mark = {"type": "watermark", "text": "Łódź – 東京 – €5 é"}
    with pytest.raises(GlyphMissing, match=r"lacks 東 \(U\+6771\), 京 \(U\+4EAC\)$"):
        await darkroom.develop(encoded(corners()), mark)


@pytest.mark.parametrize(
    ("mark", "error"),
    [(b"<html></html>", NotAnImage), (encoded(noise(40, 40), "JPEG")[:900], Truncated)],
)
async def test_a_watermark_that_is_no_picture_is_named_as_such(
    darkroom: Darkroom, mark: bytes, error: type[Exception]
) -> None:
    operation = {"type": "watermark", "image": "logo"}
    with pytest.raises(error, match=r"watermark\.image: "):
        await darkroom.develop(encoded(corners()), operation, marks={"logo": mark})


@pytest.mark.parametrize("output", ["jpeg", "webp", "avif"])
async def test_a_lower_quality_gives_a_smaller_file(darkroom: Darkroom, output: str) -> None:
    data = encoded(noise(120, 120))
    sizes = [
        (
            await darkroom.develop(
                data, {"type": "compress", "quality": q}, output={"format": output}
            )
        ).made.size
        for q in (20, 60, 95)
    ]
    assert sizes == sorted(set(sizes))


async def test_compress_takes_effect_once_and_last_wherever_it_stands(darkroom: Darkroom) -> None:
    data = encoded(noise(120, 120), "JPEG", quality=95)
    resize, compress = {"type": "resize", "width": 100}, {"type": "compress", "quality": 33}
    first = await darkroom.develop(data, compress, resize)
    last = await darkroom.develop(data, resize, compress)
    assert first.data == last.data
    assert first.made.quality_used == 33


@pytest.mark.parametrize("output", ["jpeg", "webp", "avif"])
async def test_max_bytes_finds_the_best_quality_that_fits(darkroom: Darkroom, output: str) -> None:
    data = encoded(noise(200, 200))
    whole = await darkroom.develop(data, output={"format": output})
    target = round(whole.made.size * 0.85)
    compress = {"type": "compress", "max_bytes": target, "min_quality": 5}
    developed = await darkroom.develop(data, compress, output={"format": output})
    quality = developed.made.quality_used
    assert quality is not None
    assert developed.made.size <= target
    assert developed.image.size == (200, 200)
    better = {"type": "compress", "quality": min(100, quality + 3)}
    assert (await darkroom.develop(data, better, output={"format": output})).made.size > target


@pytest.mark.parametrize("output", ["jpeg", "webp", "avif", "png"])
async def test_max_bytes_shrinks_the_picture_when_quality_is_not_enough(
    darkroom: Darkroom, output: str
) -> None:
    compress = {"type": "compress", "max_bytes": 3000}
    developed = await darkroom.develop(
        encoded(noise(300, 200)), compress, output={"format": output}
    )
    assert developed.made.size <= 3000
    assert developed.image.width < 300
    assert abs(developed.image.width / developed.image.height - 1.5) < 0.2
    assert "downscaled" in developed.done.warnings


@pytest.mark.parametrize("allow", [True, False])
async def test_a_size_that_nothing_reaches_is_refused(darkroom: Darkroom, allow: bool) -> None:
    target = 200 if allow else 3000
    compress = {"type": "compress", "max_bytes": target, "allow_downscale": allow}
    with pytest.raises(TargetSizeUnreachable, match="can't be reached"):
        await darkroom.develop(encoded(noise(300, 200), "JPEG"), compress)


async def test_png_options_and_quality_that_does_not_apply(darkroom: Darkroom) -> None:
    data = encoded(noise(100, 100))
    full = await darkroom.develop(data, {"type": "compress", "quality": 30})
    assert full.done.warnings == ["quality_not_applicable"]
    assert full.made.quality_used is None
    assert full.image.convert("RGB").tobytes() == noise(100, 100).tobytes()
    palette = await darkroom.develop(data, output={"format": "png", "palette": True})
    assert palette.image.mode == "P"
    assert palette.made.size < full.made.size / 2


async def test_a_palette_png_keeps_transparency(darkroom: Darkroom) -> None:
    image = Image.new("RGBA", (20, 20), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 10, 20))
    developed = await darkroom.develop(encoded(image), output={"format": "png", "palette": True})
    alpha = developed.image.convert("RGBA").getchannel("A")
    assert (alpha.getpixel((15, 5)), alpha.getpixel((5, 5))) == (0, 255)


async def test_lossless_webp_keeps_every_pixel(darkroom: Darkroom) -> None:
    output = {"format": "webp", "lossless": True}
    developed = await darkroom.develop(encoded(noise(50, 50)), output=output)
    assert developed.image.convert("RGB").tobytes() == noise(50, 50).tobytes()


@pytest.mark.parametrize(
    ("size", "output", "problem"),
    [
        ((16_384, 1), {"format": "webp"}, "16,383 pixels a side"),
        ((65_501, 1), {"format": "jpeg"}, "65,500 pixels a side"),
        ((65_537, 1), {"format": "avif"}, "65,536 pixels a side"),
        ((8000, 4001), {"format": "avif"}, "up to 32,000,000 pixels"),
        ((9, 9), {"lossless": True}, "jpeg has no lossless"),
        ((9, 9), {"palette": True}, "jpeg has no palette"),
    ],
)
async def test_what_a_format_cannot_hold_is_refused(
    darkroom: Darkroom, size: tuple[int, int], output: dict[str, Any], problem: str
) -> None:
    kind = "PNG" if max(size) > 65_500 else "JPEG"
    with pytest.raises(OutputNotPossible, match=problem):
        await darkroom.develop(encoded(Image.new("L", size), kind), output=output)


async def test_the_same_job_gives_the_same_bytes(darkroom: Darkroom) -> None:
    data = encoded(noise(90, 60), "JPEG")
    operations = ({"type": "resize", "width": 50}, {"type": "watermark", "text": "x"})
    for output in ("jpeg", "png", "webp", "avif"):
        one = await darkroom.develop(data, *operations, output={"format": output})
        two = await darkroom.develop(data, *operations, output={"format": output})
        assert one.data == two.data
        assert Image.open(io.BytesIO(one.data)).format == output.upper()

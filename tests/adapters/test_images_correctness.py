"""Every kind of picture comes out upright, in sRGB, with its transparency, and bare of metadata."""

import base64
import io
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import blurhash  # type: ignore[import-untyped]  # has no types
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from adapters.imaging.pool import ImagePool
from tests.darkroom import (
    BLUE,
    FORMATS,
    RED,
    Darkroom,
    animation,
    close,
    corner_colors,
    corners,
    encoded,
    exif,
)


@pytest.fixture(scope="module")
async def darkroom() -> AsyncIterator[Darkroom]:
    pool = ImagePool(processes=1)
    await pool.warm()
    yield Darkroom(pool)
    await pool.close()


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held so stores an upright scene."""


@pytest.mark.parametrize(
    ("kind", "mode"), [*product(FORMATS, ["RGB"]), ("TIFF", "L"), ("TIFF", "RGBA"), ("PNG", "LA")]
)
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("width", [None, 60])
async def test_every_orientation_comes_out_upright(
    darkroom: Darkroom, kind: str, mode: str, orientation: int, width: int | None
) -> None:
    turn, scene = TURNED[orientation], corners().convert(mode)
    stored = scene if turn is None else scene.transpose(turn)
    data = encoded(stored, kind, exif=exif(orientation=orientation))
    operations = [] if width is None else [{"type": "resize", "width": width}]
    developed = await darkroom.develop(data, *operations)
    assert developed.image.size == ((120, 80) if width is None else (60, 40))
    for found, wanted in zip(corner_colors(developed.image), corner_colors(scene), strict=True):
        assert close(found, wanted)
    assert developed.image.getexif().get(0x0112, 1) == 1
    assert developed.done.facts["orientation"] == orientation
    assert (developed.done.facts["width"], developed.done.facts["height"]) == (120, 80)


@pytest.mark.parametrize("value", [0, 9, 300])
async def test_an_orientation_that_is_none_is_ignored(darkroom: Darkroom, value: int) -> None:
    data = encoded(corners(), "JPEG", exif=exif(orientation=value))
    developed = await darkroom.develop(data)
    assert close(corner_colors(developed.image)[0], RED)


async def test_damaged_exif_harms_no_pixel(darkroom: Darkroom) -> None:
    data = encoded(corners(), "JPEG", exif=b"Exif\x00\x00garbage" * 9)
    developed = await darkroom.develop(data, {"type": "resize", "width": 60})
    assert close(corner_colors(developed.image)[0], RED)


def swapped_profile() -> bytes:
    """Return an RGB profile in which red and green have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in (b"rTRC", b"gTRC", b"desc"):
        assert tag in data
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * data[131], 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    text = data.index(b"s\x00R\x00G\x00B") if b"s\x00R\x00G\x00B" in data else data.index(b"sRGB b")
    data[text : text + 1] = b"x"  # a description that is not sRGB's
    return bytes(data)


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_profile_is_converted_and_dropped(darkroom: Darkroom, kind: str) -> None:
    data = encoded(Image.new("RGB", (64, 64), (220, 30, 30)), kind, icc_profile=swapped_profile())
    developed = await darkroom.develop(data, {"type": "convert", "format": "png"})
    color = developed.image.convert("RGB").getpixel((32, 32))
    assert isinstance(color, tuple)
    assert close(color, (30, 220, 30), most=12)
    assert "icc_profile" not in developed.image.info
    assert developed.done.facts["had_icc"] is True


async def test_a_profile_keeps_transparency(darkroom: Darkroom) -> None:
    image = Image.new("RGBA", (64, 64), (220, 30, 30, 77))
    developed = await darkroom.develop(encoded(image, icc_profile=swapped_profile()))
    color = developed.image.getpixel((5, 5))
    assert isinstance(color, tuple)
    assert color[3] == 77
    assert close(color[:3], (30, 220, 30), most=12)


@pytest.mark.parametrize("profile", [b"garbage", b"\x00" * 4000])
async def test_a_broken_profile_is_a_warning(darkroom: Darkroom, profile: bytes) -> None:
    data = encoded(corners(), "JPEG", icc_profile=profile)
    developed = await darkroom.develop(data)
    assert developed.done.warnings == ["icc_ignored"]
    assert close(corner_colors(developed.image)[0], RED)


async def test_a_profile_of_another_colour_space_is_a_warning(darkroom: Darkroom) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    developed = await darkroom.develop(encoded(corners(), "JPEG", icc_profile=lab))
    assert developed.done.warnings == ["icc_ignored"]


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
async def test_cmyk_becomes_rgb_in_every_format(darkroom: Darkroom, output: str) -> None:
    data = encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=95)
    developed = await darkroom.develop(data, {"type": "convert", "format": output})
    assert developed.image.mode == "RGB"
    assert close(corner_colors(developed.image)[0], (255, 0, 0), most=12)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
async def test_sixteen_bit_greys_keep_their_ramp(darkroom: Darkroom, kind: str) -> None:
    image = Image.new("I;16", (256, 1))
    for x in range(256):
        image.putpixel((x, 0), x * 257)
    developed = await darkroom.develop(encoded(image, kind))
    ramp = [developed.image.convert("L").getpixel((x, 0)) for x in range(0, 256, 32)]
    assert ramp == [0, 32, 64, 96, 128, 160, 192, 224]


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "1", "I", "I;16B"])
async def test_tiffs_of_every_mode_become_pictures(darkroom: Darkroom, mode: str) -> None:
    developed = await darkroom.develop(encoded(Image.new(mode, (40, 30)), "TIFF"))
    assert developed.image.size == (40, 30)
    assert developed.image.mode in {"L", "RGB"}


async def test_floating_point_pixels_are_refused_by_name(darkroom: Darkroom) -> None:
    with pytest.raises(Exception, match="floating-point") as caught:
        await darkroom.develop(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))
    assert type(caught.value).__name__ == "UnsupportedFormat"


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
async def test_a_palette_keeps_its_transparency(darkroom: Darkroom, kind: str) -> None:
    image = corners().quantize(16)
    clear = image.getpixel((60, 40))  # the grey middle
    data = encoded(image, kind, transparency=clear)
    developed = await darkroom.develop(data, {"type": "resize", "width": 60})
    pixels = developed.image.convert("RGBA")
    middle, corner = pixels.getpixel((30, 20)), pixels.getpixel((2, 2))
    assert isinstance(middle, tuple)
    assert isinstance(corner, tuple)
    assert middle[3] == 0
    assert corner[3] == 255
    assert developed.made.format == "png"


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
async def test_a_transparent_colour_becomes_alpha(darkroom: Darkroom, mode: str) -> None:
    clear: int | tuple[int, ...] = (255, 255, 255) if mode == "RGB" else 255
    image = Image.new(mode, (20, 20), 0 if mode != "RGB" else (0, 0, 0))
    image.paste(clear if mode != "1" else 1, (0, 0, 10, 20))
    data = encoded(image, transparency=clear if mode != "1" else 1)
    developed = await darkroom.develop(data)
    alpha = developed.image.convert("RGBA").getchannel("A")
    assert (alpha.getpixel((2, 2)), alpha.getpixel((18, 2))) == (0, 255)


@pytest.mark.parametrize(
    "operation", [{"type": "resize", "width": 50}, {"type": "blur", "radius": 3}]
)
async def test_transparent_pixels_give_no_colour_to_an_edge(
    darkroom: Darkroom, operation: dict[str, object]
) -> None:
    image = Image.new("RGBA", (200, 200), (0, 255, 0, 0))
    image.paste((230, 0, 0, 255), (50, 50, 150, 150))
    developed = await darkroom.develop(encoded(image), operation)
    red, green, blue, alpha = developed.image.split()
    seen = alpha.point(lambda value: 255 * (value > 8))
    stain = Image.composite(green, Image.new("L", green.size), seen)
    assert stain.getextrema()[1] <= 2  # type: ignore[operator]  # one channel has numbers
    assert red.mode == blue.mode == "L"


async def test_alpha_is_flattened_on_the_background_for_jpeg(darkroom: Darkroom) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    output = {"format": "jpeg", "background": "#1e1ee6"}
    developed = await darkroom.develop(encoded(image), output=output)
    assert close(corner_colors(developed.image)[0], BLUE)
    assert developed.made.has_alpha is False


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
async def test_the_first_frame_is_used_with_a_warning(darkroom: Darkroom, kind: str) -> None:
    developed = await darkroom.develop(animation(kind))
    assert "animation_dropped" in developed.done.warnings
    assert developed.done.facts["frames"] == 3
    assert getattr(developed.image, "n_frames", 1) == 1
    assert close(corner_colors(developed.image)[0], RED, most=40)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
async def test_an_animation_is_refused_on_request(darkroom: Darkroom, kind: str) -> None:
    with pytest.raises(Exception, match="on_animated") as caught:
        await darkroom.develop(animation(kind), on_animated="reject")
    assert type(caught.value).__name__ == "AnimatedImage"


async def test_a_multi_picture_file_of_a_phone_is_its_first_picture(darkroom: Darkroom) -> None:
    data = encoded(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    developed = await darkroom.develop(data, {"type": "resize", "width": 60})
    assert (developed.made.format, developed.image.size) == ("jpeg", (60, 40))
    assert developed.done.warnings == []


SECRETS = (b"Canon", b"secret comment", b"xmp-secret", b"text-secret", b"Ada", b"trailing")


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("metadata", ["strip", "copyright"])
async def test_nothing_but_the_copyright_asked_for_survives(
    darkroom: Darkroom, output: str, metadata: str
) -> None:
    tags = exif(make="Canon", copyright="(c) Ada", gps=(1.0, 2.0, 3.0))
    data = encoded(
        corners(), "JPEG", exif=tags, comment=b"secret comment", xmp=b"<x>xmp-secret</x>"
    )
    developed = await darkroom.develop(
        data + b"<script>trailing</script>",
        {"type": "convert", "format": output},
        metadata=metadata,
    )
    left = {secret for secret in SECRETS if secret in developed.data}
    assert left == ({b"Ada"} if metadata == "copyright" else set())
    assert not developed.image.getexif().get_ifd(0x8825)
    assert developed.image.getexif().get(0x8298) == ("(c) Ada" if metadata == "copyright" else None)
    assert developed.done.facts["had_gps"] is True


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
async def test_texts_and_comments_of_other_formats_go_too(darkroom: Darkroom, kind: str) -> None:
    ways: dict[str, dict[str, Any]] = {
        "PNG": {"pnginfo": _text_info()},
        "GIF": {"comment": b"text-secret"},
        "TIFF": {"description": "text-secret", "exif": exif(make="Canon")},
    }
    data = encoded(corners(), kind, **ways[kind])
    assert b"text-secret" in data
    developed = await darkroom.develop(data)
    assert not any(secret in developed.data for secret in SECRETS)


def _text_info() -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", "text-secret")
    return info


@pytest.mark.parametrize(
    ("source", "output"),
    [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif"), ("GIF", "png"),
     ("TIFF", "png")],
)  # fmt: skip
async def test_the_format_follows_the_source(darkroom: Darkroom, source: str, output: str) -> None:
    developed = await darkroom.develop(encoded(corners(), source))
    assert developed.made.format == output
    assert developed.image.format == output.upper()


async def test_extreme_shapes_keep_a_pixel_in_each_direction(darkroom: Darkroom) -> None:
    data = encoded(Image.new("RGB", (20_000, 1)))
    developed = await darkroom.develop(data, {"type": "resize", "width": 160})
    assert developed.image.size == (160, 1)
    tiny = await darkroom.develop(encoded(Image.new("RGB", (1, 1))), {"type": "resize", "width": 9})
    assert tiny.image.size == (1, 1)
    assert tiny.done.warnings == ["not_enlarged"]


async def test_the_placeholder_is_a_small_picture_in_a_data_uri(darkroom: Darkroom) -> None:
    developed = await darkroom.develop(encoded(corners(1200, 800)))
    head, _, body = (developed.made.placeholder or "").partition(",")
    assert head == "data:image/webp;base64"
    assert len(body) < 300
    preview = Image.open(io.BytesIO(base64.b64decode(body)))
    assert preview.size == (16, 11)
    assert close(corner_colors(preview)[0], RED, most=60)


async def test_the_blurhash_shows_the_colours_of_the_picture(darkroom: Darkroom) -> None:
    for size, components in ((1200, 800), (4, 3)), ((800, 1200), (3, 4)):
        developed = await darkroom.develop(encoded(corners(*size)))
        assert blurhash.components(developed.made.blurhash) == components
        rows = blurhash.decode(developed.made.blurhash, 30, 20)
        red, green, blue = rows[0][0]
        assert red > max(green, blue) + 30
    clear = await darkroom.develop(encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0))))
    assert min(blurhash.decode(clear.made.blurhash, 1, 1)[0][0]) > 240

"""Watermarks: a small stamp of text or of a picture, laid on without a full-size layer."""

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont, ImageStat

from adapters.imaging import geometry
from adapters.imaging.reading import finish, load, open_source
from adapters.imaging.refusal import Refusal
from adapters.imaging.surroundings import Surroundings

SMALLEST: Final = 8
"""Font size in pixels below which text is not readable."""
TRIAL: Final = 100
"""Font size at which a text is measured."""
STROKE: Final = 16
"""Font size by width of the outline."""
MIDDLE: Final = 128
BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)
UNDRAWN: Final = {"Zs", "Cf", "Mn", "Me"}
"""Spaces, and what only changes a neighbour: they leave no mark of their own."""
NO_CHARACTER: Final = "\uffff"
"""Never assigned: every font draws it as the box that stands for what it lacks."""


def draw(image: Image.Image, operation: Mapping[str, Any], around: Surroundings) -> Image.Image:
    """Lay the watermark of ``operation`` on ``image`` and return it."""
    if operation["text"] is None:
        stamp = _picture(image, operation, around)
    else:
        stamp = _text(image, operation, around)
    if operation["angle"]:
        stamp = stamp.rotate(-operation["angle"], Image.Resampling.BICUBIC, expand=True)
    alpha = stamp.getchannel("A").point(lambda value: round(value * operation["opacity"]))
    stamp.putalpha(alpha)
    if image.mode in {"L", "LA"} and not _is_gray(stamp):
        image = image.convert("RGB" if image.mode == "L" else "RGBA")
    margin = round(operation["margin"] * image.width)
    for left, top in _places(operation["position"], image.size, stamp.size, margin):
        _lay(image, stamp, left, top)
    return image


def missing_characters(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Return the characters of ``text`` that ``font`` would draw as boxes, once each."""
    box = font.getmask(NO_CHARACTER)
    shape = (box.size, bytes(box))
    return [
        character
        for character in dict.fromkeys(text)
        if unicodedata.category(character) not in UNDRAWN
        and ((mask := font.getmask(character)).size, bytes(mask)) == shape
    ]


@functools.lru_cache(maxsize=8)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def _text(image: Image.Image, operation: Mapping[str, Any], around: Surroundings) -> Image.Image:
    text = operation["text"]
    trial = _font(around.font, TRIAL)
    if missing := missing_characters(text, trial):
        names = ", ".join(f"{character} (U+{ord(character):04X})" for character in missing)
        raise Refusal("GlyphMissing", f"watermark.text: the font {around.font.stem} lacks {names}")
    left, top, right, bottom = trial.getbbox(text, stroke_width=TRIAL // STROKE)
    wanted = TRIAL * operation["scale"] * image.width / (right - left)
    most = TRIAL * min(image.width / (right - left), image.height / (bottom - top))
    size = max(1, int(min(max(SMALLEST, wanted), most)))
    if size < SMALLEST:
        around.warnings.add("watermark_shrunk")
    outline = max(1, size // STROKE)
    font = _font(around.font, size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, stroke_width=outline))
    shape = (max(1, right - left), max(1, bottom - top))
    inner, outer = Image.new("L", shape), Image.new("L", shape)
    ImageDraw.Draw(inner).text((-left, -top), text, font=font, fill=255)
    ImageDraw.Draw(outer).text((-left, -top), text, font=font, fill=255, stroke_width=outline)
    ink = _ink(image, operation, shape)
    stamp = Image.new("RGB", shape, WHITE if _brightness(ink) < MIDDLE else BLACK)
    stamp.paste(ink, (0, 0, *shape), inner)
    stamp.putalpha(ImageChops.lighter(inner, outer))
    return stamp


def _ink(
    image: Image.Image, operation: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[int, int, int]:
    if operation["color"] != "auto":
        red, green, blue, *_ = ImageColor.getrgb(operation["color"])
        return red, green, blue
    below = image
    if operation["position"] != "tile":
        margin = round(operation["margin"] * image.width)
        left, top = geometry.place(operation["position"], image.size, shape, margin)
        left = max(0, min(left, image.width - 1))
        top = max(0, min(top, image.height - 1))
        right, bottom = min(image.width, left + shape[0]), min(image.height, top + shape[1])
        below = image.crop((left, top, right, bottom))
    return BLACK if ImageStat.Stat(below.convert("L")).mean[0] >= MIDDLE else WHITE


def _brightness(color: tuple[int, int, int]) -> float:
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def _picture(image: Image.Image, operation: Mapping[str, Any], around: Surroundings) -> Image.Image:
    path = around.marks[operation["image"]]
    opened = open_source(path, around.limits, what="watermark.image")
    mark = finish(load(opened, "watermark.image"), opened).convert("RGBA")
    scale = min(operation["scale"] * image.width / mark.width, image.height / mark.height)
    size = (max(1, round(mark.width * scale)), max(1, round(mark.height * scale)))
    return mark.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _is_gray(stamp: Image.Image) -> bool:
    red, green, blue, _ = stamp.split()
    differences = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return all(difference.getbbox() is None for difference in differences)


def _places(
    position: str, outer: tuple[int, int], inner: tuple[int, int], margin: int
) -> Iterator[tuple[int, int]]:
    if position != "tile":
        left, top = geometry.place(position, outer, inner, margin)
        yield max(0, min(left, outer[0] - inner[0])), max(0, min(top, outer[1] - inner[1]))
        return
    across = inner[0] + max(margin, inner[0] // 2)
    down = inner[1] + max(margin, inner[1])
    for row, top in enumerate(range(0, outer[1], down)):
        for left in range(-(across // 2) * (row % 2), outer[0], across):
            yield left, top


def _lay(image: Image.Image, stamp: Image.Image, left: int, top: int) -> None:
    box = (
        max(0, left),
        max(0, top),
        min(image.width, left + stamp.width),
        min(image.height, top + stamp.height),
    )
    if box[2] <= box[0] or box[3] <= box[1]:
        return
    part = stamp.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    if "A" in image.getbands():
        below = image.crop(box).convert("RGBA")
        image.paste(Image.alpha_composite(below, part).convert(image.mode), box)
    else:
        image.paste(part.convert(image.mode), box, part.getchannel("A"))

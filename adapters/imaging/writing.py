"""Writing pictures: the one lossy encode, the lossless picture between steps, the placeholder."""

import base64
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from blurhash import encode as encode_blurhash  # type: ignore[import-untyped]  # has no types
from PIL import Image

from adapters.imaging import colors
from adapters.imaging.refusal import Refusal, decoding

QUALITY: Final = {"jpeg": 82, "webp": 80, "avif": 60}
"""Defaults; formats that are not here have no quality."""
LONGEST_SIDE: Final = {"jpeg": 65500, "png": 1_000_000, "webp": 16383, "avif": 65536}
AVIF_PIXELS: Final = 32_000_000
"""The AVIF encoder takes about 32 MB of memory per megapixel."""
AUTO: Final = {"jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif"}
"""Output format by source format; the rest becomes PNG."""
SHRINK: Final = 0.98
ROUNDS: Final = 12
CLIMB: Final = 8
"""Steps of quality by which the final way of writing may beat a trial."""
PREVIEW: Final = 16
COPYRIGHT, ARTIST = 0x8298, 0x013B


@dataclass(slots=True, kw_only=True)
class Encoded:
    """A finished file in memory."""

    data: bytes
    width: int
    height: int
    format: str
    has_alpha: bool
    quality: int | None
    warnings: set[str] = field(default_factory=set)


def encode(
    image: Image.Image,
    output: Mapping[str, Any],
    compress: Mapping[str, Any] | None,
    *,
    source_format: str,
    credit: Mapping[int, str],
) -> Encoded:
    """Encode ``image`` as ``output`` and ``compress`` ask.

    Args:
        image: ``L``, ``LA``, ``RGB`` or ``RGBA``.
        output: Format and its options.
        compress: Quality and size, if the job sets them.
        source_format: What ``auto`` follows.
        credit: Exif fields that the file gets.

    Raises:
        Refusal: the format can't hold the picture, or no quality gives so few bytes.
    """
    kind = output["format"]
    if kind == "auto":
        kind = AUTO.get(source_format, "png")
    _check_possible(image, kind, output)
    image = _fit_mode(image, kind, output)
    lossless = kind == "png" or output["lossless"]
    save = _saver(kind, output, _exif(credit))
    wish = compress or {"quality": None, "max_bytes": None}
    quality = None if lossless else wish["quality"] or QUALITY[kind]
    warnings = {"quality_not_applicable"} if lossless and wish["quality"] else set()
    if wish["max_bytes"] is None:
        data, used = save(image, quality, final=True), quality
    else:
        data, used, image = _search(image, save, quality, wish, warnings)
    return Encoded(
        data=data,
        width=image.width,
        height=image.height,
        format=kind,
        has_alpha="A" in image.getbands(),
        quality=used,
        warnings=warnings,
    )


def _check_possible(image: Image.Image, kind: str, output: Mapping[str, Any]) -> None:
    longest = max(image.size)
    if longest > LONGEST_SIDE[kind]:
        message = (
            f"output: {kind} holds at most {LONGEST_SIDE[kind]:,} pixels a side, the result has "
            f"{longest:,}; resize it, or choose png"
        )
        raise Refusal("OutputNotPossible", message)
    if kind == "avif" and image.width * image.height > AVIF_PIXELS:
        message = f"output: avif is made up to {AVIF_PIXELS:,} pixels; resize it, or choose webp"
        raise Refusal("OutputNotPossible", message)
    if output["lossless"] and kind in {"jpeg", "avif"}:
        message = f"output: {kind} has no lossless form here; set the format webp or png"
        raise Refusal("OutputNotPossible", message)
    if output["palette"] and kind != "png":
        message = f"output: {kind} has no palette; set the format png"
        raise Refusal("OutputNotPossible", message)


def _fit_mode(image: Image.Image, kind: str, output: Mapping[str, Any]) -> Image.Image:
    if kind == "jpeg":
        return colors.flatten(image, output["background"])
    if kind in {"webp", "avif"} and image.mode in {"L", "LA"}:
        return image.convert("RGB" if image.mode == "L" else "RGBA")
    return image


def _exif(credit: Mapping[int, str]) -> bytes | None:
    if not credit:
        return None
    exif = Image.Exif()
    for tag, value in credit.items():
        exif[tag] = value
    return exif.tobytes()


Save = Callable[..., bytes]


def _saver(kind: str, output: Mapping[str, Any], exif: bytes | None) -> Save:
    """Return a function of picture, quality and whether the file is final."""

    def save(image: Image.Image, quality: int | None, *, final: bool) -> bytes:
        options: dict[str, Any] = {} if exif is None else {"exif": exif}
        match kind:
            case "jpeg":
                progressive = output["progressive"] and final
                options |= {"quality": quality, "progressive": progressive, "optimize": progressive}
            case "webp" if output["lossless"]:
                options |= {"lossless": True, "quality": 50, "method": 2}
            case "webp":
                options |= {"quality": quality, "method": 4 if final else 2}
            case "avif":
                # more threads give other bytes; slower speeds give 4 % less for ten times the time
                options |= {"quality": quality, "speed": 9, "max_threads": 1}
            case _:
                options |= {"compress_level": 6}
                if output["palette"]:
                    image = quantize(image)
        buffer = io.BytesIO()
        image.save(buffer, kind.upper(), **options)
        return buffer.getvalue()

    return save


def quantize(image: Image.Image) -> Image.Image:
    """Return ``image`` with at most 256 colours; only this method takes transparency."""
    if image.mode == "L":
        return image
    return image.convert("RGBA" if image.mode == "LA" else image.mode).quantize(
        256, Image.Quantize.FASTOCTREE
    )


def _search(
    image: Image.Image,
    save: Save,
    quality: int | None,
    wish: Mapping[str, Any],
    warnings: set[str],
) -> tuple[bytes, int | None, Image.Image]:
    """Return the largest file of at most ``max_bytes``: first by quality, then by size."""
    target, shrunk = wish["max_bytes"], image
    for _ in range(ROUNDS):
        found = _best_quality(shrunk, save, quality, wish)
        if found is not None:
            if shrunk is not image:
                warnings.add("downscaled")
            return *found, shrunk
        lowest = None if quality is None else min(quality, wish["min_quality"])
        size = len(save(shrunk, lowest, final=False))
        factor = min(0.9, math.sqrt(target / size) * SHRINK)
        sides = (max(1, round(shrunk.width * factor)), max(1, round(shrunk.height * factor)))
        if not wish["allow_downscale"] or sides == shrunk.size:
            break
        shrunk = image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=2.0)
    hint = "" if wish["allow_downscale"] else ", or set allow_downscale"
    message = (
        f"compress: {target:,} bytes can't be reached with this picture; "
        f"allow more bytes or a lower min_quality{hint}"
    )
    raise Refusal("TargetSizeUnreachable", message)


def _best_quality(
    image: Image.Image, save: Save, quality: int | None, wish: Mapping[str, Any]
) -> tuple[bytes, int | None] | None:
    """Return the file of the highest quality that fits, or None. Size rises with quality."""
    target = wish["max_bytes"]
    if quality is None:
        data = save(image, None, final=True)
        return (data, None) if len(data) <= target else None
    lowest = min(quality, wish["min_quality"])
    trials = _Trials(image, save, target)
    # trials are cheap and nearly always larger than the final way of writing, but not by promise
    start = trials.highest(lowest, quality, final=False) or lowest
    best = trials.highest(start, min(quality, start + CLIMB), final=True)
    if best is None:
        best = trials.highest(lowest, start - 1, final=True)
    return None if best is None else (save(image, best, final=True), best)


class _Trials:
    """Looks for the highest quality whose file fits."""

    def __init__(self, image: Image.Image, save: Save, target: int) -> None:
        self.image, self.save, self.target = image, save, target

    def highest(self, low: int, high: int, *, final: bool) -> int | None:
        """Return the highest quality from ``low`` to ``high`` that fits, or None."""
        best = None
        while low <= high:
            middle = (low + high + 1) // 2
            if len(self.save(self.image, middle, final=final)) <= self.target:
                best, low = middle, middle + 1
            else:
                high = middle - 1
        return best


def thumbnail(image: Image.Image) -> Image.Image:
    """Return ``image`` with at most 16 pixels a side."""
    small = image.copy() if max(image.size) <= PREVIEW else image.reduce(_reduction(image))
    small.thumbnail((PREVIEW, PREVIEW), Image.Resampling.BOX)
    return small


def _reduction(image: Image.Image) -> tuple[int, int]:
    """Return by how much a fast reduction may shrink each side and leave twice what is needed."""
    longest = max(image.size)
    factor = max(1, longest // (2 * PREVIEW))
    return min(factor, image.width), min(factor, image.height)


def data_uri(small: Image.Image) -> str:
    """Return a thumbnail as a data URI of about 100 bytes."""
    buffer = io.BytesIO()
    small.convert("RGBA" if "A" in small.getbands() else "RGB").save(buffer, "WEBP", quality=30)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def blurhash(small: Image.Image) -> str:
    """Return a thumbnail as a BlurHash of 28 characters; transparent parts are white."""
    opaque = colors.flatten(small, "#ffffff").convert("RGB")
    rows = [[opaque.getpixel((x, y)) for x in range(opaque.width)] for y in range(opaque.height)]
    across, down = (4, 3) if opaque.width >= opaque.height else (3, 4)
    return str(encode_blurhash(rows, components_x=across, components_y=down))


def keep(image: Image.Image, path: Path, credit: Mapping[int, str]) -> None:
    """Write ``image`` without loss; Copyright and Artist travel in the file's own tags."""
    image.info.clear()
    image.save(path, "TIFF", tiffinfo=dict(credit))


def reopen(path: Path) -> tuple[Image.Image, dict[int, str]]:
    """Read what ``keep`` has written."""
    with decoding("the picture between two steps"), Image.open(path, formats=("TIFF",)) as image:
        tags = image.getexif()
        credit = {tag: str(tags[tag]) for tag in (COPYRIGHT, ARTIST) if tag in tags}
        image.load()
        plain = image.copy()
    plain.info.clear()
    return plain, credit

"""The operations on pixels: each takes a picture and returns one."""

from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageFilter

from adapters.imaging import colors, geometry, watermarks
from adapters.imaging.reading import Opened, finish
from adapters.imaging.refusal import Refusal
from adapters.imaging.surroundings import Surroundings


def apply(image: Image.Image, operation: Mapping[str, Any], around: Surroundings) -> Image.Image:
    """Return ``image`` with ``operation`` done; a watermark is drawn into ``image`` itself.

    Raises:
        Refusal: it can't be done on this picture.
    """
    match operation["type"]:
        case "resize":
            return resize(image, operation, around)
        case "crop":
            return geometry.crop(image, operation)
        case "rotate":
            return image.transpose(geometry.CLOCKWISE[operation["angle"]])
        case "flip":
            sideways = operation["axis"] == "horizontal"
            turn = Image.Transpose.FLIP_LEFT_RIGHT if sideways else Image.Transpose.FLIP_TOP_BOTTOM
            return image.transpose(turn)
        case "blur":
            return blur(image, operation["radius"])
        case "grayscale":
            return image.convert("LA" if "A" in image.getbands() else "L")
        case "watermark":
            return watermarks.draw(image, operation, around)
        case other:
            msg = f"no operation {other!r}: this worker is older than the job"
            raise ValueError(msg)


def resize(image: Image.Image, operation: Mapping[str, Any], around: Surroundings) -> Image.Image:
    """Return ``image`` scaled, then cut or filled up."""
    plan = _plan(image.size, operation, around)
    return _frame(_scale(image, plan.scaled), plan, operation)


def resize_stored(
    image: Image.Image, opened: Opened, operation: Mapping[str, Any], around: Surroundings
) -> Image.Image:
    """Return a picture as ``load`` gave it resized, upright and in sRGB.

    Scaling comes first, while the picture is as it was stored: turning and converting the
    remaining pixels is cheaper. The picture may have been drafted to less than its full size.
    """
    plan = _plan((opened.facts["width"], opened.facts["height"]), operation, around)
    stored = geometry.upright_size(plan.scaled, opened.orientation)
    return _frame(finish(_scale(image, stored), opened), plan, operation)


def _plan(
    size: tuple[int, int], operation: Mapping[str, Any], around: Surroundings
) -> geometry.Plan:
    plan = geometry.Plan(*size, operation)
    pixels = max(width * height for width, height in (plan.scaled, plan.result))
    if pixels > around.limits.pixels:
        message = (
            f"resize: the result would have {pixels:,} pixels; "
            f"at most {around.limits.pixels:,} are made"
        )
        raise Refusal("BadOperation", message)
    if plan.not_enlarged:
        around.warnings.add("not_enlarged")
    return plan


def _scale(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _frame(image: Image.Image, plan: geometry.Plan, operation: Mapping[str, Any]) -> Image.Image:
    if image.size == plan.result:
        return image
    if operation["fit"] == "cover":
        return geometry.cut(image, plan.result, operation["gravity"])
    below = colors.canvas(image.mode, plan.result, operation["background"])
    corner = geometry.place(operation["gravity"], below.size, image.size)
    if "A" in image.getbands():
        below = below.convert("RGBA")
        layer = Image.new("RGBA", below.size)
        layer.paste(image.convert("RGBA"), corner)
        return Image.alpha_composite(below, layer)
    below.paste(image.convert(below.mode), corner)
    return below


def blur(image: Image.Image, radius: float) -> Image.Image:
    """Return ``image`` blurred; transparent pixels give no colour to their neighbours."""
    if "A" not in image.getbands():
        return image.filter(ImageFilter.GaussianBlur(radius))
    premultiplied = image.convert("RGBa" if image.mode == "RGBA" else "La")
    return premultiplied.filter(ImageFilter.GaussianBlur(radius)).convert(image.mode)

"""Pixels of every kind to 8-bit sRGB: ``L``, ``LA``, ``RGB`` or ``RGBA``."""

import io
from typing import Final

from PIL import Image, ImageCms, ImageColor

from adapters.imaging.refusal import Refusal

SRGB: Final = ImageCms.createProfile("sRGB")
SRGB_NAMES: Final = {"sRGB", "sRGB IEC61966-2.1", "sRGB built-in", "c2"}
"""Descriptions of profiles that change nothing; others that begin so have another curve."""

PLAINER: Final = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
PLAIN: Final = {"L", "LA", "RGB", "RGBA"}
SIXTEEN_BIT: Final = {"I;16", "I;16L", "I;16B", "I;16N", "I"}


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Return ``image`` in a mode that can be scaled: ``L``, ``LA``, ``RGB``, ``RGBA``, ``CMYK``.

    Palettes are resolved first, since scaling them takes the nearest pixel; 16-bit greys are
    scaled, since converting them clips to white.
    """
    if image.mode in SIXTEEN_BIT:
        # "I" itself holds 16-bit values too: that is how such PNG and TIFF files arrive
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "F":
        message = "the picture has floating-point pixels; save it with 8 or 16 bits per channel"
        raise Refusal("UnsupportedFormat", message)
    if "transparency" in image.info and image.mode in {"1", "L", "P", "RGB"}:
        clear = image.convert("RGBA")
        return clear.convert("LA") if image.mode in {"1", "L"} else clear
    if image.mode in PLAIN or image.mode == "CMYK":
        return image
    return image.convert(PLAINER.get(image.mode, "RGB"))


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Return ``image`` in sRGB, and whether its profile had to be ignored.

    Args:
        image: From ``to_eight_bit``.
        profile: The embedded ICC profile, if any.
    """
    if profile:
        try:
            return _through_profile(image, profile), False
        except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
            return _without_profile(image), True
    return _without_profile(image), False


def _without_profile(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "CMYK" else image


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    if image.mode != "CMYK" and ImageCms.getProfileDescription(source).strip() in SRGB_NAMES:
        return image
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colors = image.convert({"LA": "L", "RGBA": "RGB"}[image.mode]) if alpha else image
    if source.profile.xcolor_space.strip() == "RGB" and colors.mode == "L":
        return image  # a grey picture with a colour profile: its greys are neutral in both
    converted = ImageCms.profileToProfile(
        colors,
        source,
        SRGB,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:  # only with inPlace
        return image
    if colors.mode == "L":
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def rgba(color: str) -> tuple[int, int, int, int]:
    """Return ``#rrggbb``, ``#rrggbbaa`` or ``transparent`` as numbers."""
    if color == "transparent":
        return 0, 0, 0, 0
    red, green, blue, *alpha = ImageColor.getrgb(color)
    return red, green, blue, alpha[0] if alpha else 255


def canvas(mode: str, size: tuple[int, int], color: str) -> Image.Image:
    """Return an empty picture of ``color``, with alpha only where ``mode`` or the color has it."""
    red, green, blue, alpha = rgba(color)
    gray = mode in {"L", "LA"} and red == green == blue
    if alpha == 255 and mode in {"L", "RGB"}:  # noqa: PLR2004 - opaque
        return Image.new("L", size, red) if gray else Image.new("RGB", size, (red, green, blue))
    if gray:
        return Image.new("LA", size, (red, alpha))
    return Image.new("RGBA", size, (red, green, blue, alpha))


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Return ``image`` without alpha, on ``background``."""
    red, green, blue, _ = rgba(background)
    if image.mode == "LA" and red == green == blue:
        below = Image.new("L", image.size, red)
        below.paste(image.getchannel("L"), mask=image.getchannel("A"))
        return below
    if image.mode in {"LA", "RGBA"}:
        below = Image.new("RGB", image.size, (red, green, blue))
        below.paste(image.convert("RGBA"), mask=image.getchannel("A"))
        return below
    return image

"""What can be done to a picture. The names follow sharp where it has one."""

import unicodedata
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.base import Contract, StoredFile

LONGEST_SIDE: Final = 16383
"""WebP's; the other formats have more."""

Gravity = Literal[
    "center",
    "north",
    "north_east",
    "east",
    "south_east",
    "south",
    "south_west",
    "west",
    "north_west",
]
Color = Annotated[
    str,
    Field(pattern=r"^(#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?|transparent)$", examples=["#ffffff"]),
]
Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Quality = Annotated[int, Field(ge=1, le=100)]
ImageFormat = Literal["jpeg", "png", "webp", "avif"]


def check_text(text: str) -> str:
    """Return ``text`` if every character of it can be drawn on one line."""
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        msg = "must be one line without control characters"
        raise ValueError(msg)
    if not text.strip():
        msg = "must have a character that can be seen"
        raise ValueError(msg)
    return text


class AutoOrient(Contract):
    """Turn the picture upright by its Exif orientation: always done, and always first."""

    type: Literal["auto_orient"] = "auto_orient"


class Resize(Contract):
    """Scale the picture; with one side given, the other follows."""

    type: Literal["resize"] = "resize"
    width: Side | None = None
    """Pixels."""
    height: Side | None = None
    """Pixels."""
    fit: Literal["inside", "outside", "cover", "contain", "fill"] = "inside"
    """``inside``: as large as fits into the box. ``outside``: as small as covers the box.
    ``cover``: fill the box and cut off the rest. ``contain``: fit into the box and fill up with the
    background. ``fill``: stretch to the box."""
    gravity: Gravity = "center"
    """The part that ``cover`` keeps, and where ``contain`` puts the picture."""
    enlarge: bool = False
    """Whether a picture smaller than asked is scaled up."""
    background: Color = "#ffffff"
    """What ``contain`` fills up with."""

    @model_validator(mode="after")
    def _has_sides(self) -> Self:
        if self.width is None and self.height is None:
            msg = "resize needs a width, a height or both"
            raise ValueError(msg)
        if self.fit in {"cover", "contain", "fill"} and None in {self.width, self.height}:
            msg = f"fit {self.fit!r} needs both width and height"
            raise ValueError(msg)
        return self


class Crop(Contract):
    """Cut out a rectangle, in pixels of the upright picture at this place in the list."""

    type: Literal["crop"] = "crop"
    left: int = Field(ge=0, le=1_000_000)
    top: int = Field(ge=0, le=1_000_000)
    width: Side
    height: Side


class Rotate(Contract):
    """Turn the picture clockwise."""

    type: Literal["rotate"] = "rotate"
    angle: Literal[90, 180, 270]
    """Degrees."""


class Flip(Contract):
    """Mirror the picture."""

    type: Literal["flip"] = "flip"
    axis: Literal["horizontal", "vertical"]
    """``horizontal`` swaps left and right, ``vertical`` top and bottom."""


class Blur(Contract):
    """Blur the picture (Gauss)."""

    type: Literal["blur"] = "blur"
    radius: float = Field(gt=0, le=250)
    """Pixels."""


class Grayscale(Contract):
    """Take the colours out."""

    type: Literal["grayscale"] = "grayscale"


class Watermark(Contract):
    """Draw a line of text or a picture over the picture."""

    type: Literal["watermark"] = "watermark"
    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_text)] | None = (
        None
    )
    image: StoredFile | None = None
    """A stored picture, such as a logo with transparency."""
    position: Gravity | Literal["tile"] = "south_east"
    """Where it stands, or ``tile`` for all over."""
    opacity: float = Field(default=0.5, ge=0, le=1)
    scale: float = Field(default=0.25, ge=0.01, le=1)
    """Width of the mark as a part of the picture's width."""
    margin: float = Field(default=0.02, ge=0, le=0.5)
    """Distance from the edge, and between tiles, as a part of the picture's width."""
    color: Annotated[str, Field(pattern=r"^(#[0-9A-Fa-f]{6}|auto)$")] = "auto"
    """Of the text; ``auto`` is black or white, whichever stands out."""
    angle: float = Field(default=0, ge=-180, le=180)
    """Degrees, clockwise."""

    @model_validator(mode="after")
    def _has_one_mark(self) -> Self:
        if (self.text is None) == (self.image is None):
            msg = "watermark needs either text or image"
            raise ValueError(msg)
        return self


class Compress(Contract):
    """Set how the result is encoded. It is encoded once, last, wherever this stands in the list."""

    type: Literal["compress"] = "compress"
    quality: Quality | None = None
    """1 to 100. Default: 82 for JPEG, 80 for WebP, 60 for AVIF."""
    max_bytes: int | None = Field(default=None, ge=200)
    """The largest file allowed; the quality is lowered until it fits."""
    min_quality: Quality = 50
    """The lowest quality that ``max_bytes`` may lead to, unless ``quality`` is lower itself."""
    allow_downscale: bool = True
    """Whether ``max_bytes`` may shrink the picture where the quality alone is not enough."""

    @model_validator(mode="after")
    def _has_a_goal(self) -> Self:
        if self.quality is None and self.max_bytes is None:
            msg = "compress needs quality, max_bytes or both"
            raise ValueError(msg)
        return self


class Output(Contract):
    """The format of a result."""

    format: Literal["auto"] | ImageFormat = "auto"
    """``auto``: as the source; GIF and TIFF become PNG."""
    progressive: bool = True
    """JPEG only."""
    lossless: bool = False
    """WebP only; PNG always is."""
    palette: bool = False
    """PNG only: at most 256 colours, a third of the size."""
    background: Color = "#ffffff"
    """What shows through transparent parts in a format that has none (JPEG)."""

    @model_validator(mode="after")
    def _format_has_option(self) -> Self:
        if self.lossless and self.format not in {"auto", "webp", "png"}:
            msg = f"{self.format} has no lossless form here; use webp or png"
            raise ValueError(msg)
        if self.palette and self.format not in {"auto", "png"}:
            msg = f"{self.format} has no palette; use png"
            raise ValueError(msg)
        return self


class Convert(Output):
    """Set the format of the result, as ``output`` does."""

    type: Literal["convert"] = "convert"
    format: ImageFormat


Operation = Annotated[
    AutoOrient | Resize | Crop | Rotate | Flip | Blur | Grayscale | Watermark | Compress | Convert,
    Field(discriminator="type"),
]
Change = Annotated[
    Resize | Crop | Rotate | Flip | Blur | Grayscale | Watermark, Field(discriminator="type")
]
"""An operation that changes pixels; the others only say how the result is written."""


def check_operations(operations: list[Any], output: Output) -> None:
    """Raise ``ValueError`` if ``operations`` contradict each other or ``output``."""
    kinds = [operation.type for operation in operations]
    for once in ("auto_orient", "compress", "convert"):
        if kinds.count(once) > 1:
            msg = f"there are {kinds.count(once)} {once!r} operations; one is enough"
            raise ValueError(msg)
    if "auto_orient" in kinds[1:]:
        msg = "auto_orient is always done first: put it first, or leave it out"
        raise ValueError(msg)
    if "convert" in kinds and output.format != "auto":
        msg = "the format is set twice, by the operation convert and by output; keep one"
        raise ValueError(msg)
    lossless = output.lossless or any(
        isinstance(operation, Convert) and operation.lossless for operation in operations
    )
    quality = any(
        isinstance(operation, Compress) and operation.quality is not None
        for operation in operations
    )
    if lossless and quality:
        msg = "lossless has no quality: leave out one of the two"
        raise ValueError(msg)

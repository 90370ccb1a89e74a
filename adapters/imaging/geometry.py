"""Sizes, places and turns."""

from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from adapters.imaging.refusal import Refusal

TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture of an Exif orientation upright."""

SIDEWAYS: Final = {5, 6, 7, 8}
"""Orientations in which width and height are swapped."""

CLOCKWISE: Final[Mapping[int, Image.Transpose]] = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}

LONGEST_SIDE: Final = 16383


class Plan:
    """The sizes of a resize: of the scaled picture, and of the result after cut or fill."""

    def __init__(self, width: int, height: int, resize: Mapping[str, Any]) -> None:
        """Plan ``resize`` of an upright picture of ``width`` by ``height``."""
        asked_width, asked_height = resize["width"], resize["height"]
        fit, enlarge = resize["fit"], resize["enlarge"]
        ratios = [
            asked / side
            for asked, side in ((asked_width, width), (asked_height, height))
            if asked is not None
        ]
        self.not_enlarged = False
        if fit == "fill":
            self.scaled = (asked_width, asked_height)
            if not enlarge and (asked_width > width or asked_height > height):
                self.scaled = (min(asked_width, width), min(asked_height, height))
                self.not_enlarged = True
            self.result = self.scaled
            return
        scale = max(ratios) if fit in {"outside", "cover"} else min(ratios)
        if scale > 1 and not enlarge:
            scale, self.not_enlarged = 1.0, True
        self.scaled = (max(1, round(width * scale)), max(1, round(height * scale)))
        match fit:
            case "cover":
                self.result = (
                    min(asked_width, self.scaled[0]),
                    min(asked_height, self.scaled[1]),
                )
            case "contain":
                self.result = (asked_width, asked_height)
            case _:
                self.result = self.scaled
        if max(*self.scaled, *self.result) > LONGEST_SIDE:
            message = (
                f"resize: the result would be {self.scaled[0]} x {self.scaled[1]} pixels; "
                f"no side may be over {LONGEST_SIDE}"
            )
            raise Refusal("BadOperation", message)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return a stored size as a person sees it, or the other way round."""
    return (size[1], size[0]) if orientation in SIDEWAYS else size


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Return ``image`` upright."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def place(
    gravity: str, outer: tuple[int, int], inner: tuple[int, int], margin: int = 0
) -> tuple[int, int]:
    """Return the left top corner of ``inner`` in ``outer``; negative where it is larger."""
    spare = (outer[0] - inner[0], outer[1] - inner[1])
    left = {"west": margin, "east": spare[0] - margin}
    top = {"north": margin, "south": spare[1] - margin}
    vertical, _, horizontal = gravity.partition("_")
    if not horizontal and vertical in left:
        vertical, horizontal = "", vertical
    return left.get(horizontal, spare[0] // 2), top.get(vertical, spare[1] // 2)


def cut(image: Image.Image, size: tuple[int, int], gravity: str) -> Image.Image:
    """Return the part of ``image`` that ``gravity`` names."""
    left, top = place(gravity, image.size, size)
    return image.crop((left, top, left + size[0], top + size[1]))


def crop(image: Image.Image, operation: Mapping[str, Any]) -> Image.Image:
    """Return the rectangle of ``operation``."""
    left, top = operation["left"], operation["top"]
    right, bottom = left + operation["width"], top + operation["height"]
    if right > image.width or bottom > image.height:
        message = (
            f"crop: the rectangle ends at {right} x {bottom}, "
            f"the picture is {image.width} x {image.height} pixels at this place in the list"
        )
        raise Refusal("BadOperation", message)
    return image.crop((left, top, right, bottom))

"""Opening a file that may be anything, and making its pixels upright 8-bit sRGB."""

import mmap
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFile

from adapters.imaging import colors, geometry, sniffing
from adapters.imaging.refusal import Refusal, decoding

ORIENTATION: Final = 0x0112
GPS: Final = 0x8825
COPYRIGHT: Final = {0x8298: "copyright", 0x013B: "artist"}

MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A JPEG marker after entropy-coded data: neither a stuffed byte nor a restart."""
SEQUENTIAL: Final = {0xC0, 0xC1}
START_OF_SCAN: Final = 0xDA
END_OF_IMAGE: Final = 0xD9
FILL: Final = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is decoded at most."""

    pixels: int
    frames: int = 1000
    scans: int = 100


@dataclass(slots=True, kw_only=True)
class Opened:
    """A file whose header was read and found acceptable."""

    image: ImageFile.ImageFile
    orientation: int
    """What is still to be done: 1 where the decoder itself turns the picture."""
    profile: bytes | None
    credit: dict[int, str]
    """Exif Copyright and Artist."""
    facts: dict[str, Any]
    warnings: set[str] = field(default_factory=set)


def open_source(
    path: Path, limits: Limits, *, what: str = "source", on_animated: str = "first_frame"
) -> Opened:
    """Read the header of the file at ``path``; of a PNG, whose Exif may stand last, all of it.

    Raises:
        Refusal: it is nothing that is read here, or more than is read here.
    """
    with path.open("rb") as file:
        check_signature(file.read(sniffing.LOOK), path.stat().st_size, what)
    with decoding(what):
        image = Image.open(path, formats=sniffing.READABLE)
        image.filename = ""  # else Pillow 13 maps an uncompressed TIFF, and turns it wrongly
        if image.width * image.height > limits.pixels:
            message = (
                f"{what}: {image.width} x {image.height} pixels; "
                f"at most {limits.pixels:,} are decoded. Make it smaller first"
            )
            raise Refusal("TooManyPixels", message)
        if image.format in {"JPEG", "MPO"} and "progressive" in image.info:
            check_scans(path, limits.scans, what)
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
        warnings = check_frames(frames, limits.frames, what, on_animated)
        if image.format == "PNG":
            # its getexif() would decode, and a failure there leaves a half picture that then passes
            image.load()
    exif = read_exif(image)
    tag = exif.get(ORIENTATION, 1)
    orientation = tag if tag in geometry.TURNS else 1
    # Pillow turns a TIFF upright while it decodes, and tells its upright size before
    pending = 1 if image.format == "TIFF" else orientation
    width, height = geometry.upright_size(image.size, pending)
    profile = image.info.get("icc_profile") or None
    return Opened(
        image=image,
        orientation=pending,
        profile=profile,
        credit={
            tag: value.strip()
            for tag in COPYRIGHT
            if isinstance(value := exif.get(tag), str) and value.strip()
        },
        facts={
            "format": "jpeg" if image.format == "MPO" else str(image.format).lower(),
            "width": width,
            "height": height,
            "frames": frames,
            "orientation": orientation,
            "had_icc": profile is not None,
            "had_gps": GPS in exif,
        },
        warnings=warnings,
    )


def check_signature(head: bytes, size: int, what: str) -> None:
    """Refuse a file by its first bytes, naming what it is."""
    family, name = sniffing.sniff(head)
    readable = "give a JPEG, PNG, WebP, AVIF, GIF or TIFF"
    match family:
        case "picture":
            raise Refusal("UnsupportedFormat", f"{what}: {name} is not read here; {readable}")
        case "other":
            raise Refusal("NotAnImage", f"{what}: the file is {name}; {readable}")
    if name == "WebP" and int.from_bytes(head[4:8], "little") + 8 > size:
        raise Refusal("Truncated", f"{what}: the file is cut off; upload it again")


def check_frames(frames: int, most: int, what: str, on_animated: str) -> set[str]:
    """Refuse too many frames, or any animation on request; else return the warning."""
    if frames > most:
        message = f"{what}: {frames:,} frames or pages; at most {most:,} are read"
        raise Refusal("TooManyFrames", message)
    if frames == 1:
        return set()
    if on_animated == "reject":
        message = f"{what}: {frames:,} frames or pages, and on_animated is 'reject'"
        raise Refusal("AnimatedImage", message)
    return {"animation_dropped"}


def check_scans(path: Path, most: int, what: str) -> None:
    """Refuse a progressive JPEG that repeats scans: each costs a pass over the whole picture."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if count_scans(data, most) > most:
            message = f"{what}: a progressive JPEG with more than {most} scans; save it again"
            raise Refusal("TooManyScans", message)


def count_scans(data: mmap.mmap, most: int) -> int:
    """Count the scans of a JPEG, up to one more than ``most``; 1 if it is sequential."""
    at, scans = 2, 0
    while at + 4 <= len(data) and data[at] == FILL:
        marker = data[at + 1]
        if marker == FILL:
            at += 1
            continue
        if marker in SEQUENTIAL:
            return 1
        if marker == END_OF_IMAGE:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == START_OF_SCAN:
            scans += 1
            found = MARKER.search(data, at) if scans <= most else None
            if found is None:
                break
            at = found.start()
    return scans


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the Exif data; empty if they are damaged, which harms no pixel."""
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001 - Pillow raises many classes for damaged Exif
        return Image.Exif()


def draft(opened: Opened, resizes: Sequence[Mapping[str, Any]]) -> None:
    """Let the JPEG decoder shrink while it decodes, to no less than twice what is needed."""
    width, height = opened.facts["width"], opened.facts["height"]
    scaled = [geometry.Plan(width, height, resize).scaled for resize in resizes]
    needed = (2 * max(size[0] for size in scaled), 2 * max(size[1] for size in scaled))
    opened.image.draft(None, geometry.upright_size(needed, opened.orientation))


def load(opened: Opened, what: str = "source") -> Image.Image:
    """Decode the pixels."""
    with decoding(what):
        opened.image.load()
        image = colors.to_eight_bit(opened.image)
        image.info.clear()
        return image


def finish(image: Image.Image, opened: Opened) -> Image.Image:
    """Return ``image``, which may have been scaled since ``load``, upright in sRGB."""
    image, ignored = colors.to_srgb(image, opened.profile)
    if ignored:
        opened.warnings.add("icc_ignored")
    return geometry.turn(image, opened.orientation)

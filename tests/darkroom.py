"""Pictures for tests, and a place to develop them: real files through real child processes."""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from PIL import Image

from adapters.imaging.pool import ImagePool
from jobs.images.contract import MAIN, ImageJob
from jobs.images.planning import encoding, pixel_changes
from jobs.images.steps import BranchWork, ImageWork, Made, WorkDone

ORIENTATION: Final = 0x0112
FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")

RED, GREEN, BLUE, WHITE = (230, 30, 30), (30, 200, 30), (30, 30, 230), (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """A finished picture, and what was said of it."""

    image: Image.Image
    data: bytes
    made: Made
    done: WorkDone


@dataclass(frozen=True, slots=True)
class Darkroom:
    """Does all operations of a job in one step."""

    pool: ImagePool
    limit: timedelta = timedelta(minutes=2)

    async def develop(
        self,
        data: bytes,
        *operations: Mapping[str, Any],
        marks: Mapping[str, bytes] | None = None,
        **fields: Any,
    ) -> Developed:
        """Process ``data`` as a job of these fields would; without operations, only re-encode."""
        with self.work(data, *operations, marks=marks, **fields) as work:
            done = await self.pool.run(work, self.limit)
            path = work.branches[0].file
            assert path is not None
            made = path.read_bytes()
        return Developed(
            image=Image.open(io.BytesIO(made)), data=made, made=done.made[0], done=done
        )

    @contextmanager
    def work(
        self,
        data: bytes,
        *operations: Mapping[str, Any],
        marks: Mapping[str, bytes] | None = None,
        **fields: Any,
    ) -> Iterator[ImageWork]:
        """Give the step that ``develop`` runs, with its files in a folder of its own."""
        job = ImageJob.model_validate(
            {"source": "x", "operations": operations or [{"type": "auto_orient"}], **fields}
        )
        with TemporaryDirectory() as folder:
            room = Path(folder)
            (room / "input").write_bytes(data)
            paths = {}
            for index, (key, mark) in enumerate((marks or {}).items()):
                paths[key] = room / f"mark-{index}"
                paths[key].write_bytes(mark)
            branch = BranchWork(
                changes=pixel_changes(job.operations),
                marks=paths,
                file=room / "file",
                encoding=encoding(MAIN, job.operations, job.output),
            )
            yield ImageWork(
                path=room / "input",
                is_source=True,
                branches=[branch],
                on_animated=job.on_animated,
                metadata=job.metadata,
                progress=room / "progress",
            )


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return ``image`` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(width: int = 120, height: int = 80) -> Image.Image:
    """Return a picture that shows how it is turned: red, green, blue and white corners."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    across, down = width // 3, height // 3
    image.paste(RED, (0, 0, across, down))
    image.paste(GREEN, (width - across, 0, width, down))
    image.paste(BLUE, (0, height - down, across, height))
    image.paste(WHITE, (width - across, height - down, width, height))
    return image


def corner_colors(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours at left top, right top, left bottom and right bottom."""
    plain = image.convert("RGB")
    right, bottom = image.width - 4, image.height - 4
    found = [plain.getpixel(at) for at in ((3, 3), (right, 3), (3, bottom), (right, bottom))]
    return [color if isinstance(color, tuple) else () for color in found]


def close(one: Sequence[int], other: Sequence[int], most: int = 30) -> bool:
    """Tell whether two colours differ by at most ``most`` in each channel."""
    return all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


@cache
def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """Return a picture that hardly compresses, always the same one."""
    state = zlib.crc32(bytes([seed]))
    rows = bytearray()
    for _ in range(width * height * 3):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        rows.append(state >> 16 & 0xFF)
    return Image.frombytes("RGB", (width, height), bytes(rows))


def exif(**tags: Any) -> Image.Exif:
    """Return Exif data: ``orientation``, ``copyright``, ``artist``, ``gps``."""
    made = Image.Exif()
    names = {"orientation": ORIENTATION, "copyright": 0x8298, "artist": 0x013B, "make": 0x010F}
    for name, value in tags.items():
        if name == "gps":
            made.get_ifd(0x8825)[2] = value
        else:
            made[names[name]] = value
    return made


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_of_size(width: int, height: int) -> bytes:
    """Return a small PNG that claims any size and really has it: black, one bit a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\x00" * (1 + (width + 7) // 8)
    squeezer = zlib.compressobj(9)
    body = b"".join(squeezer.compress(row) for _ in range(height)) + squeezer.flush()
    signature = b"\x89PNG\r\n\x1a\n"
    return (
        signature + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    )


@cache
def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated ``scans`` times."""
    data = encoded(Image.new("RGB", (width, height), RED), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * scans + data[end:]


def animation(kind: str, frames: int = 3, size: int = 16) -> bytes:
    """Return an animation whose first frame is red and whose others are not."""
    shades = [Image.new("RGB", (size, size), RED)]
    shades += [
        Image.new("RGB", (size, size), (0, 90 * index % 256, 200)) for index in range(1, frames)
    ]
    return encoded(shades[0], kind, save_all=True, append_images=shades[1:])

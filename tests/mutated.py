"""Damaged pictures by the thousand; ``python -m tests.mutated 20000`` processes them.

It runs the children's code in this one process, without a pool around it, and prints how often each
outcome came. A decoder that crashes or hangs takes the process with it.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from adapters.imaging import pipeline
from adapters.imaging.pool import FONT, MEMORY
from tests.darkroom import animation, corners, encoded, exif, noise

PIXELS = 1_000_000
OPERATION = {
    "type": "resize",
    "width": 20,
    "height": None,
    "fit": "inside",
    "gravity": "center",
    "enlarge": False,
    "background": "#ffffff",
}
OUTPUT = {
    "format": "auto",
    "progressive": True,
    "lossless": False,
    "palette": False,
    "background": "#ffffff",
}


def seeds() -> list[bytes]:
    """Return whole pictures of every kind that is read."""
    small, tags = noise(40, 30), exif(orientation=6, copyright="Ada", gps=(1.0, 2.0, 3.0))
    return [
        encoded(small, "JPEG", exif=tags),
        encoded(small, "JPEG", progressive=True),
        encoded(small.convert("CMYK"), "JPEG"),
        encoded(small, "PNG", exif=tags),
        encoded(corners().quantize(16), "PNG"),
        encoded(small, "WEBP", exif=tags),
        encoded(small, "WEBP", lossless=True),
        encoded(small, "AVIF", exif=tags),
        encoded(Image.new("I;16", (30, 20), 999), "TIFF"),
        encoded(small, "TIFF", compression="tiff_lzw"),
        encoded(small, "TIFF", compression="jpeg"),
        animation("GIF"),
        animation("WEBP"),
        animation("PNG"),
    ]


def mutations(count: int) -> Iterator[bytes]:
    """Yield damaged pictures, always the same ones."""
    chance = random.Random(20)  # noqa: S311 - for tests
    whole = seeds()
    for _ in range(count):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(data))
            match chance.randrange(5):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at : at + 4] = chance.choice((b"\xff" * 4, b"\x00" * 4, b"\x7f\xff"))
                case 2:
                    del data[at : at + chance.randrange(1, 40)]
                case 3:
                    data[at:at] = chance.randbytes(chance.randrange(1, 40))
                case _:
                    data = data[: max(at, 1)]
            if not data:
                break
        yield bytes(data)


def process(count: int) -> Counter[str]:
    """Process ``count`` damaged pictures and count the outcomes."""
    outcomes: Counter[str] = Counter()
    with TemporaryDirectory() as name:
        room = Path(name)
        branch = {
            "changes": [OPERATION],
            "marks": {},
            "keep": None,
            "file": str(room / "file"),
            "encoding": {"name": "main", "output": OUTPUT, "compress": None},
        }
        task = {
            "path": str(room / "input"),
            "is_source": True,
            "source_format": "",
            "on_animated": "first_frame",
            "metadata": "copyright",
            "progress": str(room / "progress"),
            "branches": [branch],
        }
        for data in mutations(count):
            (room / "input").write_bytes(data)
            outcomes[pipeline.run(task).get("code", "made")] += 1
    return outcomes


if __name__ == "__main__":
    pipeline.start(str(FONT), PIXELS, MEMORY)
    sys.stdout.write(json.dumps(process(int(sys.argv[1]))))

"""Make ``docs/images/contact-sheet.jpg``: ``python -m bench.contact_sheet``.

Every cell is the result of a real job on a real photo, run by a real ``worker.py``; only the sheet
itself is put together here.
"""

import asyncio
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from bench.images import ROOT, Bench, opened

CELL = (300, 220)
CAPTION = 30
GAP = 12
COLUMNS = 4
FONT = ROOT / "templates" / "fonts" / "DejaVuSans.ttf"
SHEET = ROOT / "docs" / "images" / "contact-sheet.jpg"

Operations = list[Mapping[str, Any]]
SMALL: Mapping[str, Any] = {"type": "resize", "width": 300, "height": 200, "fit": "inside"}


def box(**fields: Any) -> Mapping[str, Any]:
    """Return a resize."""
    return {"type": "resize", **fields}


def mark(**fields: Any) -> Mapping[str, Any]:
    """Return a watermark."""
    return {"type": "watermark", **fields}


CELLS: list[tuple[str, str, Operations]] = [
    ("resize 300 x 200, inside", "rocket", [SMALL]),
    ("cover 200 x 200, gravity west", "rocket",
     [box(width=200, height=200, fit="cover", gravity="west")]),
    ("contain 300 x 200 on #203040", "chelsea",
     [box(width=300, height=110), box(width=300, height=200, fit="contain",
                                      background="#203040")]),
    ("fill 120 x 200", "coffee", [box(width=120, height=200, fit="fill")]),
    ("crop, then resize", "chelsea",
     [{"type": "crop", "left": 95, "top": 50, "width": 240, "height": 160}, SMALL]),
    ("rotate 90", "coffee", [box(height=300, width=200), {"type": "rotate", "angle": 90}]),
    ("flip horizontal", "chelsea", [SMALL, {"type": "flip", "axis": "horizontal"}]),
    ("orientation 6, made upright", "sideways", [SMALL]),
    ("blur 4", "coffee", [SMALL, {"type": "blur", "radius": 4}]),
    ("grayscale", "rocket", [SMALL, {"type": "grayscale"}]),
    ("text, ink by what is below", "photo", [SMALL, mark(text="© Ada Łukasiewicz", scale=0.5)]),
    ("text in Greek, north_west", "coffee",
     [SMALL, mark(text="© Ada Λόβλεϊς", scale=0.5, opacity=0.8, position="north_west")]),
    ("text, tiled at 30°", "chelsea",
     [SMALL, mark(text="PROOF", position="tile", angle=-30, scale=0.18, opacity=0.35)]),
    ("picture with transparency", "rocket",
     [SMALL, mark(image="in/logo.png", opacity=0.9, scale=0.22)]),
    ("max_bytes 6,000", "coffee",
     [SMALL, {"type": "compress", "max_bytes": 6000, "min_quality": 20}]),
    ("AVIF, quality 40", "chelsea",
     [SMALL, {"type": "compress", "quality": 40}, {"type": "convert", "format": "avif"}]),
]  # fmt: skip


async def make(bench: Bench, source: str, operations: Operations) -> tuple[Image.Image, int]:
    """Run one job; return its picture and how many bytes it has."""
    result = await bench.job(f"in/{source}.jpg", operations)
    data = await bench.storage.get(result.files[0].key)
    return Image.open(io.BytesIO(data)).convert("RGB"), len(data)


async def upload(bench: Bench) -> None:
    """Store the photos, one of them as a camera held upright stores it."""
    for path in (ROOT / "examples" / "photo.jpg", *(ROOT / "examples" / "photos").glob("*.jpg")):
        await bench.storage.put(f"in/{path.name}", path.read_bytes())
    logo = ROOT / "examples" / "logo.png"
    await bench.storage.put("in/logo.png", logo.read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(ROOT / "examples" / "photos" / "coffee.jpg") as upright:
        stored = upright.transpose(Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=90, exif=exif)
    await bench.storage.put("in/sideways.jpg", buffer.getvalue())


async def main(sheet: Path) -> None:
    """Run the jobs and put the sheet together."""
    rows = -(-len(CELLS) // COLUMNS)
    width, height = CELL[0] + GAP, CELL[1] + CAPTION + GAP
    canvas = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "#f4f4f2")
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.truetype(str(FONT), 13)
    async with opened() as bench:
        await upload(bench)
        for index, (caption, source, operations) in enumerate(CELLS):
            picture, size = await make(bench, source, operations)
            left = GAP + index % COLUMNS * width
            top = GAP + index // COLUMNS * height
            corner = (left + (CELL[0] - picture.width) // 2, top + (CELL[1] - picture.height) // 2)
            canvas.paste(picture, corner)
            text = f"{caption} · {size:,} B"
            pen.text((left, top + CELL[1] + 6), text, font=font, fill="#303030")
    canvas.save(sheet, "JPEG", quality=88, progressive=True, optimize=True)


if __name__ == "__main__":
    SHEET.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(SHEET))

"""Files that are no picture, or no picture that may be decoded: all made here, none found."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from PIL import Image

from tests.darkroom import animation, corners, encoded, noise, png_chunk, png_of_size, scan_bomb

PIXELS: Final = 4_000_000
"""The limit that these files are made for."""

HEIC: Final = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40)
JXL: Final = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a" + bytes(40)
SVG: Final = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def cut(kind: str, part: float, **options: str) -> bytes:
    """Return the beginning of a picture."""
    data = encoded(noise(64, 64), kind, **options)
    return data[: round(len(data) * part)]


def crc_damaged() -> bytes:
    """Return a PNG with a byte changed in its pixels."""
    data = bytearray(encoded(noise(64, 64)))
    data[data.index(b"IDAT") + 100] ^= 0xFF
    return bytes(data)


def stream_damaged() -> bytes:
    """Return a PNG whose checksums are right and whose compressed data are not."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"x")[:2] + b"\xff" * 60)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body + png_chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """Return a PNG with a compressed text of 64 MB."""
    data = encoded(corners())
    bomb = png_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(64_000_000)))
    return data[:33] + bomb + data[33:]


def profile_bomb() -> bytes:
    """Return a PNG with a compressed colour profile of 64 MB."""
    data = encoded(corners())
    bomb = png_chunk(b"iCCP", b"x\x00\x00" + zlib.compress(bytes(64_000_000)))
    return data[:33] + bomb + data[33:]


def avif_damaged() -> bytes:
    """Return an AVIF with garbage where its pixels are."""
    data = bytearray(encoded(noise(64, 64), "AVIF"))
    at = data.index(b"mdat") + 8
    data[at : at + 400] = b"\xa5" * 400
    return bytes(data)


def bilevel(kind: str) -> bytes:
    """Return a small file of just too many pixels."""
    return encoded(Image.new("1", (2100, 2100)), kind)


BAD_FILES: Final[dict[str, tuple[Callable[[], bytes], str, str]]] = {
    "zero bytes": (bytes, "NotAnImage", "empty"),
    "text": (lambda: b"hello\n" * 40, "NotAnImage", "text"),
    "HTML": (lambda: b"<!DOCTYPE html><p>404", "NotAnImage", "an HTML page"),
    "HTML after a BOM": (lambda: b"\xef\xbb\xbf\n<html lang=en>", "NotAnImage", "HTML"),
    "JSON": (lambda: b'{"error": "not found"}', "NotAnImage", "JSON"),
    "ZIP": (lambda: b"PK\x03\x04" + bytes(60), "NotAnImage", "ZIP"),
    "video": (lambda: b"\x00\x00\x00\x18ftypisom" + bytes(20), "NotAnImage", "a video"),
    "zeros": (lambda: bytes(600), "NotAnImage", "no known kind"),
    "PNG cut in its signature": (lambda: b"\x89PNG\r\n", "NotAnImage", "no known kind"),
    "SVG": (lambda: SVG, "UnsupportedFormat", "SVG"),
    "bare SVG": (lambda: b"<svg></svg>", "UnsupportedFormat", "SVG"),
    "PDF": (lambda: b"%PDF-1.7\n", "UnsupportedFormat", "PDF"),
    "EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "UnsupportedFormat", "PostScript"),
    "HEIC": (lambda: HEIC, "UnsupportedFormat", "HEIC"),
    "JPEG XL": (lambda: JXL, "UnsupportedFormat", "JPEG XL"),
    "bare JPEG XL": (lambda: b"\xff\x0a" + bytes(40), "UnsupportedFormat", "JPEG XL"),
    "BMP": (partial(encoded, Image.new("RGB", (4, 4)), "BMP"), "UnsupportedFormat", "BMP"),
    "float TIFF": (
        partial(encoded, Image.new("F", (4, 4), 0.5), "TIFF"),
        "UnsupportedFormat",
        "floating-point",
    ),
    "half JPEG": (partial(cut, "JPEG", 0.5), "Truncated", "cut off"),
    "JPEG without its end": (
        lambda: encoded(noise(64, 64), "JPEG")[:-2],
        "Truncated",
        "cut off",
    ),
    "half PNG": (partial(cut, "PNG", 0.5), "Truncated", "cut off"),
    "half GIF": (partial(cut, "GIF", 0.5), "Truncated", "cut off"),
    "half WebP": (partial(cut, "WEBP", 0.5), "Truncated", "cut off"),
    "JPEG cut in its header": (partial(cut, "JPEG", 0.02), "Truncated", "cut off"),
    "PNG cut in its header": (lambda: encoded(noise(64, 64))[:20], "Truncated", "cut off"),
    "half AVIF": (partial(cut, "AVIF", 0.5), "Corrupt", "damaged"),
    "damaged AVIF": (avif_damaged, "Corrupt", "damaged"),
    "half LZW TIFF": (partial(cut, "TIFF", 0.5, compression="tiff_lzw"), "Corrupt", "damaged"),
    "PNG with a bad checksum": (crc_damaged, "Corrupt", "damaged"),
    "PNG with a bad stream": (stream_damaged, "Corrupt", "damaged"),
    "PNG text bomb": (text_bomb, "Corrupt", "damaged"),
    "PNG profile bomb": (profile_bomb, "Corrupt", "damaged"),
    "PNG of 0 x 0": (partial(png_of_size, 0, 0), "Corrupt", "damaged"),
    "PNG over the limit": (partial(png_of_size, 3000, 3000), "TooManyPixels", "4,000,000"),
    "PNG bomb": (partial(png_of_size, 20_000, 20_000), "TooManyPixels", "4,000,000"),
    "GIF over the limit": (partial(bilevel, "GIF"), "TooManyPixels", "4,000,000"),
    "TIFF over the limit": (partial(bilevel, "TIFF"), "TooManyPixels", "4,000,000"),
    "GIF of 1,001 frames": (partial(animation, "GIF", 1001, 4), "TooManyFrames", "1,001"),
    "TIFF of 1,001 pages": (partial(animation, "TIFF", 1001, 4), "TooManyFrames", "1,001"),
    "JPEG of 111 scans": (partial(scan_bomb, 32, 32, 101), "TooManyScans", "100 scans"),
}
"""By name: the file, the code of its refusal, and a part of the message."""

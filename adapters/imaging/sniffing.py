"""What a file is by its first bytes, so that a message can name it."""

import codecs
from typing import Final

READABLE: Final = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF")
"""Never "MPO": a phone's multi-picture file opens as JPEG, and naming MPO makes Pillow 13 raise
``KeyError`` on files that nothing reads."""

HEIF_BRANDS: Final = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}

PICTURES: Final = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"\x00\x00\x01\x00", "icon (ICO)"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"qoif", "QOI"),
)
OTHERS: Final = (
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"ID3", "an MP3 sound"),
    (b"{", "JSON"),
)
SIGNATURES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
LOOK: Final = 512
"""Bytes at the start that are looked at."""


def sniff(head: bytes) -> tuple[str, str]:
    """Return what a file is: ``readable``, ``picture`` (of another kind) or ``other``, and a name.

    Args:
        head: The first ``LOOK`` bytes.
    """
    if not head:
        return "other", "empty"
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return "readable", name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "readable", "WebP"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    for signature, name in PICTURES:
        if head.startswith(signature):
            return "picture", name
    for signature, name in OTHERS:
        if head.startswith(signature):
            return "other", name
    return _text(head)


def _iso_media(head: bytes) -> tuple[str, str]:
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return "readable", "AVIF"
    if brands & HEIF_BRANDS:
        return "picture", "HEIC"
    return "other", "a video"


def _text(head: bytes) -> tuple[str, str]:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "other", "an HTML page"
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")):
        return ("picture", "SVG") if b"<svg" in text else ("other", "XML")
    if b"\x00" not in head and _is_utf8(head):
        return "other", "text"
    return "other", "of no known kind"


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return False
    return True

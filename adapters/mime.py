"""Builds the bytes of a message, some ten times cheaper than ``email.message.EmailMessage``.

What makes it safe: a header takes no control character, whatever it is given, and every part of the
body is encoded (quoted-printable or base64), so that no text can end a header or a part early.
"""

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterable, Sequence
from email.header import Header
from email.utils import formatdate
from typing import Final
from urllib.parse import quote

from jobs.emails import Attachment, EmailNotComposed

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
LINE_LIMIT: Final = 76


def header(name: str, value: str, *, words: bool = False) -> str:
    """Return one header line, folded if it is long.

    Args:
        name: Its name.
        value: Its value.
        words: Whether it is free text, which may be encoded (RFC 2047) and folded between words.

    Raises:
        EmailNotComposed: the value holds a control character or, unless it is free text, a letter
            outside ASCII.
    """
    if CONTROL.search(value) or not HEADER_NAME.fullmatch(name):
        msg = f"header {name}: a value with a line break or control character is not sent"
        raise EmailNotComposed(msg)
    if words and (not value.isascii() or "=?" in value or len(name) + len(value) > LINE_LIMIT):
        charset = "us-ascii" if value.isascii() and "=?" not in value else "utf-8"
        value = Header(value, charset, header_name=name, maxlinelen=LINE_LIMIT).encode(
            linesep="\r\n"
        )
    return f"{name}: {value}\r\n"


def rfc5322_date(timestamp: float) -> str:
    """Return the value of a Date header, in UTC."""
    return formatdate(timestamp)


def text_part(subtype: str, text: str) -> bytes:
    """Return a text with its headers, quoted-printable."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").replace("\n", "\r\n")
    # The encoder breaks lines as the first line of what it is given ends.
    body = binascii.b2a_qp(f"{lines}\r\n".encode(), istext=True)
    head = (
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head.encode() + body


def file_part(attachment: Attachment) -> bytes:
    """Return a file with its headers, base64."""
    kind = mimetypes.guess_type(attachment.name)[0] or "application/octet-stream"
    head = (
        header("Content-Type", kind)
        + "Content-Transfer-Encoding: base64\r\n"
        + header(
            "Content-Disposition", f"attachment; filename*=utf-8''{quote(attachment.name, safe='')}"
        )
    )
    body = base64.encodebytes(attachment.content).replace(b"\n", b"\r\n")
    return head.encode() + b"\r\n" + body


def inline_part(picture: Attachment) -> bytes:
    """Return a picture that the HTML shows under ``cid:`` and its name."""
    kind = mimetypes.guess_type(picture.name)[0] or "application/octet-stream"
    head = (
        header("Content-Type", kind)
        + "Content-Transfer-Encoding: base64\r\n"
        + header("Content-ID", f"<{picture.name}>")
        + header("Content-Disposition", f"inline; filename*=utf-8''{quote(picture.name, safe='')}")
    )
    body = base64.encodebytes(picture.content).replace(b"\n", b"\r\n")
    return head.encode() + b"\r\n" + body


def multipart(subtype: str, boundary: str, parts: Iterable[bytes]) -> bytes:
    """Return ``parts`` as one part.

    ``boundary`` begins with ``=_``, which neither encoding of a part can produce.
    """
    head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    mark = f"--{boundary}".encode()
    inner = b"".join(b"%s\r\n%s\r\n" % (mark, part) for part in parts)
    return head + inner + mark + b"--\r\n"


def message(
    headers: Iterable[str], text: str, html: str, attachments: Sequence[Attachment], *, seed: str
) -> bytes:
    """Return a whole message: mixed > (alternative > (text, related > (HTML, pictures)), files).

    Args:
        headers: Lines made by ``header``.
        text: The plain text.
        html: The HTML.
        attachments: Files to go with it; one whose name the HTML has after ``cid:`` is shown there.
        seed: ASCII letters and digits; makes the boundaries, the same for the same message.
    """
    shown = [attachment for attachment in attachments if f'"cid:{attachment.name}"' in html]
    files = [attachment for attachment in attachments if attachment not in shown]
    page = text_part("html", html)
    if shown:
        page = multipart("related", f"=_r{seed}", (page, *map(inline_part, shown)))
    body = multipart("alternative", f"=_a{seed}", (text_part("plain", text), page))
    if files:
        body = multipart("mixed", f"=_m{seed}", (body, *map(file_part, files)))
    return "".join(headers).encode("utf-8") + b"MIME-Version: 1.0\r\n" + body

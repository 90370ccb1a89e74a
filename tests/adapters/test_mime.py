"""Messages as bytes: whatever they are given, they parse back to exactly that."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import mime
from jobs.emails import Attachment, EmailNotComposed

PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=300)


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert not message.defects
    return message


def build(*headers: str, text: str = "Hello", html: str = "<p>Hello</p>") -> EmailMessage:
    return parsed(mime.message(headers, text, html, (), seed="abc"))


@given(PRINTABLE)
def test_free_text_in_a_header_comes_back_as_it_was(value: str) -> None:
    message = build(mime.header("Subject", value, words=True))
    assert " ".join(message["Subject"].split()) == " ".join(value.split())
    assert [name for name in message if name not in {"MIME-Version", "Content-Type"}] == ["Subject"]


@given(st.text(max_size=50), st.sampled_from("\r\n\x00\x0b\x0c\x1b\x85\u2028\u2029"), st.text())
def test_no_control_character_gets_into_a_header(before: str, control: str, after: str) -> None:
    for words in (True, False):
        with pytest.raises(EmailNotComposed, match="header To"):
            mime.header("To", before + control + after, words=words)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=2000))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    message = build(mime.header("Subject", "x"), text=text)
    body = message.get_body(("plain",))
    assert body is not None
    content = body.get_payload(decode=True)
    assert isinstance(content, bytes)
    expected = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert content.decode().replace("\r\n", "\n").rstrip("\n") == expected


def test_no_line_is_longer_than_a_relay_takes() -> None:
    content = mime.message(
        [mime.header("Subject", "ü" * 400, words=True)], "x" * 5000, "ü" * 5000, (), seed="abc"
    )
    assert max(len(line) for line in content.split(b"\r\n")) <= 78
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_a_text_that_looks_like_a_boundary_ends_no_part() -> None:
    text = "--=_aabc--\nContent-Type: text/html\n\n<script>"
    message = build(mime.header("Subject", "x"), text=text)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_files_go_beside_the_two_texts() -> None:
    files = (
        Attachment(name="Rechnung ü 日本.pdf", content=b"%PDF" * 1000),
        Attachment(name="data", content=bytes(range(256))),
    )
    message = parsed(mime.message([], "Hello", "<p>Hello</p>", files, seed="abc"))
    attached = list(message.iter_attachments())

    assert [part.get_filename() for part in attached] == [file.name for file in files]
    assert [part.get_content() for part in attached] == [file.content for file in files]
    assert [part.get_content_type() for part in attached] == [
        "application/pdf",
        "application/octet-stream",
    ]

"""Mails as files: each once, whole, and for its owner only."""

import os
from pathlib import Path

import pytest

from adapters.mailers import open_mailer
from adapters.outbox import Outbox
from adapters.smtp import SmtpMailer
from jobs.emails import EmailClaimed, SmtpAnswer
from tests.adapters.test_mail_rendering import letter
from tests.mails import composer


async def nothing() -> None:
    """Claim nothing."""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_mail_is_a_file_named_by_its_message_id(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    content = composer().build(letter("welcome"))
    answer = await outbox.send("ada@example.com", content, nothing)

    [file] = (tmp_path / "outbox").iterdir()
    assert answer == SmtpAnswer(250, "written to abc.eml")
    assert (file.name, file.read_bytes()) == ("abc.eml", content)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_writing_again_leaves_one_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for _ in range(2):
        await outbox.send("ada@example.com", composer().build(letter("welcome")), nothing)

    assert names(tmp_path) == ["abc.eml"]


async def test_what_the_claim_raises_writes_nothing(tmp_path: Path) -> None:
    async def refuse() -> None:
        raise EmailClaimed("another attempt sends it")

    with pytest.raises(EmailClaimed):
        await Outbox(tmp_path).send("ada@example.com", b"x", refuse)
    assert names(tmp_path) == []


async def test_the_newest_mail_is_listed_first(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for number in (1, 2):
        mail = letter("welcome", message_id=f"<m{number}.job@example.com>")
        await outbox.send("ada@example.com", composer().build(mail), nothing)
    os.utime(tmp_path / "m1.eml", (0, 0))  # two files may be of one tick of the clock

    entries = outbox.entries()
    assert [entry.name for entry in entries] == ["m2", "m1"]
    assert entries[0].to == "ada@example.com"
    assert entries[0].subject == "Welcome to Conveyor, Ada <b>"
    assert outbox.read(entries[0].name)["To"] == "ada@example.com"


@pytest.mark.parametrize("name", ["nothing", "../secret", "/etc/passwd"])
def test_a_name_that_is_no_mail_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.eml").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        Outbox(tmp_path / "outbox").read(name)


async def test_without_a_relay_mails_are_written_and_it_says_so(tmp_path: Path) -> None:
    mailer = open_mailer(None, outbox=tmp_path / "outbox", envelope_sender="b@example.com")
    assert isinstance(mailer, Outbox)
    assert await mailer.check() == f"no relay is set: mails are written to {tmp_path / 'outbox'}"


def test_with_a_relay_mails_are_sent(tmp_path: Path) -> None:
    url = "smtp://localhost:1025?tls=none"
    mailer = open_mailer(url, outbox=tmp_path, envelope_sender="b@example.com")
    assert isinstance(mailer, SmtpMailer)

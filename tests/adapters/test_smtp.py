"""SMTP against a real relay on loopback: each answer has its meaning, each connection its end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.smtp import Relay, Security, SmtpMailer
from jobs.emails import (
    EmailAddressUnsupported,
    EmailContentRejected,
    EmailDeferred,
    EmailGreylisted,
    EmailMailboxUnavailable,
    EmailOutcomeUnknown,
    EmailRecipientRejected,
    EmailRelayMisconfigured,
    EmailRelayUnavailable,
    EmailSenderRejected,
    EmailTooLarge,
)
from jobs.errors import JobError
from tests.authority import make_authority
from tests.mail_relay import DROP, KEEP_AND_DROP, STALL, ScriptedRelay, mail_relay

PATIENCE_S = 60.0
MESSAGE = b"Subject: Hello\r\n\r\nHello\r\n"


async def nothing() -> None:
    """Claim nothing."""


def mailer(
    relay: ScriptedRelay,
    *,
    login: str = "",
    command_timeout_s: float = PATIENCE_S,
    data_timeout_s: float = PATIENCE_S,
) -> SmtpMailer:
    return SmtpMailer(
        Relay.parse(f"smtp://{login}127.0.0.1:{relay.port}?tls=none"),
        envelope_sender="bounces@example.com",
        command_timeout_s=command_timeout_s,
        data_timeout_s=data_timeout_s,
    )


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with mail_relay() as opened:
        yield opened


async def send(client: SmtpMailer, recipient: str = "ada@example.com") -> int:
    return (await client.send(recipient, MESSAGE, nothing)).code


@pytest.mark.parametrize(
    ("phase", "reply", "error", "retry_after"),
    [
        ("mail", "421 4.3.2 closing", EmailRelayUnavailable, timedelta(seconds=60)),
        ("rcpt", "421 4.3.2 closing", EmailRelayUnavailable, timedelta(seconds=60)),
        ("data", "421 4.3.2 closing", EmailRelayUnavailable, timedelta(seconds=60)),
        ("mail", "450 4.3.0 busy", EmailDeferred, None),
        ("rcpt", "450 4.2.1 mailbox busy", EmailDeferred, None),
        ("rcpt", "452 4.2.2 mailbox full", EmailDeferred, None),
        ("rcpt", "451 4.7.1 greylisted", EmailGreylisted, timedelta(minutes=5)),
        ("data", "451 4.7.0 greylisted", EmailGreylisted, timedelta(minutes=5)),
        ("data", "452 4.3.1 disk full", EmailDeferred, None),
        ("rcpt", "550 5.1.1 no such user", EmailRecipientRejected, None),
        ("rcpt", "550 5.1.2 no such domain", EmailRecipientRejected, None),
        ("rcpt", "553 5.1.3 no address", EmailRecipientRejected, None),
        ("rcpt", "551 5.1.6 moved", EmailRecipientRejected, None),
        ("rcpt", "550 5.1.10 null MX", EmailRecipientRejected, None),
        ("rcpt", "553 no such user here", EmailRecipientRejected, None),
        ("rcpt", "552 5.2.2 mailbox full", EmailMailboxUnavailable, None),
        ("rcpt", "550 5.2.1 mailbox disabled", EmailMailboxUnavailable, None),
        ("rcpt", "550 5.7.1 blocked", EmailContentRejected, None),
        ("rcpt", "554 5.7.1 blocked", EmailContentRejected, None),
        ("data", "554 5.7.1 spam", EmailContentRejected, None),
        ("data", "554 transaction failed", EmailContentRejected, None),
        ("data", "552 5.3.4 too big", EmailTooLarge, None),
        ("data", "552 too much", EmailTooLarge, None),
        ("data", "552 5.2.2 mailbox full", EmailMailboxUnavailable, None),
        ("mail", "552 5.3.4 too big", EmailTooLarge, None),
        ("mail", "552 too much", EmailTooLarge, None),
        ("mail", "550 5.7.1 not your sender", EmailSenderRejected, None),
        ("mail", "530 5.7.0 log in first", EmailRelayMisconfigured, None),
        ("mail", "503 bad sequence", EmailRelayUnavailable, timedelta(seconds=1)),
        ("rcpt", "503 bad sequence", EmailRelayUnavailable, timedelta(seconds=1)),
    ],
)
async def test_an_answer_has_its_error(
    relay: ScriptedRelay,
    phase: str,
    reply: str,
    error: type[JobError],
    retry_after: timedelta | None,
) -> None:
    getattr(relay, phase).append(reply)
    client = mailer(relay)
    with pytest.raises(error) as caught:
        await send(client)

    assert type(caught.value) is error
    assert caught.value.next_retry_delay == retry_after
    assert await send(client) == 250
    await client.close()


async def test_an_address_in_an_answer_is_not_repeated(relay: ScriptedRelay) -> None:
    relay.rcpt = ["550 5.1.1 <ada@example.com>: user ada@example.com unknown"]
    with pytest.raises(EmailRecipientRejected) as caught:
        await send(mailer(relay))

    assert str(caught.value).endswith("550 5.1.1 <***>: user *** unknown to RCPT")


def mend(relay: ScriptedRelay, client: SmtpMailer) -> None:
    """Let the relay accept what comes, and the client be patient: its stall is over."""
    for script in (relay.mail, relay.rcpt, relay.data):
        script.clear()  # a slow machine gives up before the relay has read its script
    client._command_timeout_s = client._data_timeout_s = PATIENCE_S


@pytest.mark.parametrize("phase", ["mail", "rcpt"])
@pytest.mark.parametrize("how", [DROP, STALL])
async def test_a_connection_lost_before_the_message_has_sent_nothing(
    relay: ScriptedRelay, phase: str, how: str
) -> None:
    getattr(relay, phase).append(how)
    client = mailer(relay, command_timeout_s=1 if how == STALL else PATIENCE_S)
    with pytest.raises(EmailRelayUnavailable):
        await send(client)

    assert relay.received == []
    mend(relay, client)
    assert await send(client) == 250


@pytest.mark.parametrize("how", [DROP, KEEP_AND_DROP, STALL])
async def test_an_answer_lost_after_the_message_is_unknown(relay: ScriptedRelay, how: str) -> None:
    relay.data = [how]
    client = mailer(relay, data_timeout_s=0.3 if how == STALL else PATIENCE_S)
    with pytest.raises(EmailOutcomeUnknown):
        await send(client)

    mend(relay, client)
    assert await send(client) == 250


async def test_a_relay_that_is_not_there_is_unavailable(relay: ScriptedRelay) -> None:
    gone = SmtpMailer(
        Relay(host="127.0.0.1", port=1, security=Security.NONE), envelope_sender="b@example.com"
    )
    with pytest.raises(EmailRelayUnavailable, match="can't be reached"):
        await send(gone)


async def test_a_name_that_is_not_there_is_unavailable() -> None:
    gone = SmtpMailer(
        Relay(host="nowhere.invalid", port=25, security=Security.NONE),
        envelope_sender="b@example.com",
    )
    with pytest.raises(EmailRelayUnavailable):
        await send(gone)


async def test_five_mails_share_one_connection(relay: ScriptedRelay) -> None:
    client = mailer(relay)
    for _ in range(5):
        await send(client)

    assert relay.connections == 1
    await client.close()


async def test_mails_at_once_open_no_more_connections_than_allowed(relay: ScriptedRelay) -> None:
    client = mailer(relay)
    await asyncio.gather(*(send(client) for _ in range(20)))

    assert len(relay.received) == 20
    assert relay.connections <= 5
    await client.close()


async def test_a_refused_mail_leaves_the_connection_to_the_next(relay: ScriptedRelay) -> None:
    relay.rcpt = ["550 5.1.1 no such user"]
    client = mailer(relay)
    with pytest.raises(EmailRecipientRejected):
        await send(client)
    await send(client)

    assert relay.connections == 1
    await client.close()


async def test_a_cancelled_mail_takes_its_connection_with_it(relay: ScriptedRelay) -> None:
    relay.rcpt = [STALL]
    client = mailer(relay)
    task = asyncio.create_task(send(client))
    await relay.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await send(client, "grace@example.com") == 250
    assert [received.recipient for received in relay.received] == ["grace@example.com"]
    assert relay.connections == 2


async def test_a_relay_that_came_back_is_used_again() -> None:
    async with mail_relay() as first:
        client = mailer(first)
        await send(client)
        for transport in first.transports:
            transport.close()
    async with mail_relay(relay=first):
        assert await send(client) == 250
        await client.close()

    assert len(first.received) == 2


async def test_what_the_claim_raises_ends_the_mail_before_it_goes_out(relay: ScriptedRelay) -> None:
    async def refuse() -> None:
        raise EmailDeferred("not now")

    client = mailer(relay)
    with pytest.raises(EmailDeferred, match="not now"):
        await client.send("ada@example.com", MESSAGE, refuse)

    assert relay.received == []
    assert await send(client) == 250
    assert relay.connections == 1


async def test_lines_of_dots_and_long_texts_arrive_as_they_were(relay: ScriptedRelay) -> None:
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n"
    client = mailer(relay)
    await client.send("ada@example.com", content, nothing)

    assert relay.received[0].content == content


async def test_an_international_address_goes_out_where_the_relay_can(relay: ScriptedRelay) -> None:
    client = mailer(relay)
    await client.send("jörg@example.com", MESSAGE, nothing)

    assert relay.received[0].recipient == "jörg@example.com"
    await client.close()


async def test_an_international_address_fails_where_the_relay_can_not() -> None:
    async with mail_relay(smtputf8=False) as relay:
        client = mailer(relay)
        with pytest.raises(EmailAddressUnsupported):
            await client.send("jörg@example.com", MESSAGE, nothing)
        await client.close()


async def test_a_message_above_the_announced_size_is_too_large() -> None:
    async with mail_relay(size_limit=1000) as relay:
        client = mailer(relay)
        with pytest.raises(EmailTooLarge):
            await client.send("ada@example.com", MESSAGE + b"x" * 2000, nothing)
        await client.close()


@pytest.mark.parametrize(("scheme", "where"), [("smtp", "starttls"), ("smtps", "implicit")])
async def test_tls_works_with_a_private_authority(tmp_path: Path, scheme: str, where: str) -> None:
    authority, context = make_authority(tmp_path)
    async with mail_relay(**{where: context}) as relay:  # type: ignore[arg-type]  # one of two contexts
        client = SmtpMailer(
            Relay.parse(f"{scheme}://127.0.0.1:{relay.port}"),
            envelope_sender="bounces@example.com",
            ca_file=authority,
        )
        assert await send(client) == 250
        await client.close()


@pytest.mark.parametrize(("scheme", "where"), [("smtp", "starttls"), ("smtps", "implicit")])
async def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    tmp_path: Path, scheme: str, where: str
) -> None:
    _, context = make_authority(tmp_path)
    async with mail_relay(**{where: context}) as relay:  # type: ignore[arg-type]  # one of two contexts
        client = SmtpMailer(
            Relay.parse(f"{scheme}://127.0.0.1:{relay.port}"), envelope_sender="b@example.com"
        )
        with pytest.raises(EmailRelayMisconfigured, match="CONVEYOR_SMTP_CA_FILE"):
            await send(client)

    assert relay.received == []


async def test_a_login_is_made_and_a_wrong_one_is_ours_to_mend(tmp_path: Path) -> None:
    authority, context = make_authority(tmp_path)
    async with mail_relay(starttls=context, auth=True) as relay:
        right, wrong, none = (
            SmtpMailer(
                Relay.parse(f"smtp://{login}127.0.0.1:{relay.port}"),
                envelope_sender="bounces@example.com",
                ca_file=authority,
            )
            for login in ("conveyor:secret@", "conveyor:topsecret@", "")
        )
        assert await send(right) == 250
        for client in (wrong, none):
            with pytest.raises(EmailRelayMisconfigured, match="Mend the login") as caught:
                await send(client)
            assert caught.value.non_retryable
            assert "topsecret" not in str(caught.value)
            await client.close()
        await right.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("454 4.7.0 ask later", EmailDeferred),
        ("534 5.7.9 too weak", EmailRelayMisconfigured),
        ("535 5.7.8 wrong", EmailRelayMisconfigured),
    ],
)
async def test_an_answer_to_the_login_has_its_error(
    tmp_path: Path, reply: str, error: type[JobError]
) -> None:
    authority, context = make_authority(tmp_path)
    async with mail_relay(starttls=context, auth=True) as relay:
        relay.login = [reply] * 3  # the library tries each way to log in
        client = SmtpMailer(
            Relay.parse(f"smtp://conveyor:secret@127.0.0.1:{relay.port}"),
            envelope_sender="bounces@example.com",
            ca_file=authority,
        )
        with pytest.raises(error, match=reply):
            await send(client)
        relay.login = []
        assert await send(client) == 250
        await client.close()


async def test_a_login_that_the_relay_does_not_know_is_ours_to_mend(relay: ScriptedRelay) -> None:
    client = mailer(relay, login="conveyor:secret@")
    with pytest.raises(EmailRelayMisconfigured, match="CONVEYOR_SMTP_URL"):
        await send(client)
    assert relay.received == []


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        ("421 4.3.2 too busy", EmailRelayUnavailable),
        ("450 4.3.2 too busy", EmailDeferred),
        ("554 5.7.1 not you", EmailRelayMisconfigured),
    ],
)
async def test_a_relay_that_greets_with_a_refusal_has_sent_nothing(
    greeting: str, error: type[JobError]
) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{greeting}\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = mailer(ScriptedRelay(port=port))
    with pytest.raises(error) as caught:
        await send(client)
    assert type(caught.value) is error
    server.close()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_nothing_is_sent_in_the_clear_where_tls_was_asked_for(
    relay: ScriptedRelay, scheme: str
) -> None:
    client = SmtpMailer(
        Relay.parse(f"{scheme}://127.0.0.1:{relay.port}"), envelope_sender="b@example.com"
    )
    with pytest.raises(EmailRelayMisconfigured):
        await send(client)

    assert relay.received == []


@pytest.mark.parametrize(
    ("url", "host", "port", "security", "username", "password"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, "starttls", None, None),
        ("smtp://u:p%40ss@h.example.com:2525", "h.example.com", 2525, "starttls", "u", "p@ss"),
        ("smtps://u:p@h.example.com", "h.example.com", 465, "implicit", "u", "p"),
        ("smtp://localhost:1025?tls=none", "localhost", 1025, "none", None, None),
        ("smtp://mailpit:1025?tls=none", "mailpit", 1025, "none", None, None),
    ],
)
def test_a_url_names_the_relay(
    url: str, host: str, port: int, security: str, username: str | None, password: str | None
) -> None:
    relay = Relay.parse(url)
    assert (relay.host, relay.port, relay.security) == (host, port, security)
    assert (relay.username, relay.password) == (username, password)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mail.example.com:25", "is no address of a mail relay"),
        ("http://mail.example.com", "is no address of a mail relay"),
        ("smtp://u:topsecret@mail.example.com:x", "the port is no number"),
        ("smtp://u:topsecret@mail.example.com?tls=none", "in the clear"),
        ("smtp://u:topsecret@mailpit?tls=none", "in the clear"),
        ("smtps://localhost?tls=none", "in the clear"),
        ("smtp://localhost?tls=maybe", "'maybe' is no option"),
        ("smtp://localhost?ssl=none", "'ssl' is no option"),
        ("smtp://localhost/topsecret", "nothing may follow the port"),
    ],
)
def test_a_wrong_url_is_refused_without_quoting_it(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        Relay.parse(url)
    assert "topsecret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "topsecret" not in repr(Relay.parse("smtps://u:topsecret@mail.example.com"))

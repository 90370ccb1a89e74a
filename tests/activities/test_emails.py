"""The email step, over a real relay and a real ledger."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.database.emails import email_send
from jobs.emails import (
    AttachmentMissing,
    AttachmentsTooLarge,
    Delivery,
    Email,
    EmailContentRejected,
    EmailDeferred,
    EmailGreylisted,
    EmailMailboxUnavailable,
    EmailOutcomeUnknown,
    EmailRecipientRejected,
    EmailRelayMisconfigured,
    EmailRelayUnavailable,
    EmailSenderRejected,
    OnUnknown,
    SuppressionReason,
    UserUnknown,
)
from jobs.errors import JobError
from jobs.mail_tokens import reset_token_hash
from tests.mail_relay import DROP, KEEP_AND_DROP, STALL
from tests.mails import TOKENS, MailBench, mail_bench

WELCOME = Email(template="welcome", to="ada@example.com", data={"name": "Ada"})
RESET = Email(template="password-reset", user_id="emmy", request_id="reset-7")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[MailBench]:
    async with mail_bench(tmp_path) as opened:
        yield opened


async def test_a_mail_goes_to_the_relay_and_its_answer_is_the_result(bench: MailBench) -> None:
    receipt = await bench.send(WELCOME)

    [received] = bench.relay.received
    assert receipt.delivery is Delivery.SENT
    assert (receipt.smtp_code, receipt.smtp_text) == (250, "2.0.0 queued as 1")
    assert (received.recipient, received.sender) == ("ada@example.com", "bounces@example.com")
    assert received.message["Message-ID"] == receipt.message_id
    assert received.message["Subject"] == "Welcome to Conveyor, Ada"
    assert received.message["Auto-Submitted"] == "auto-generated"


async def test_a_user_is_written_to_in_their_language_under_their_name(bench: MailBench) -> None:
    await bench.send(Email(template="welcome", user_id="emmy"))

    [received] = bench.relay.received
    assert received.recipient == "emmy@example.com"
    assert received.message["Subject"] == "Willkommen bei Conveyor, Emmy Noether"


async def test_an_unknown_user_fails_the_job(bench: MailBench) -> None:
    with pytest.raises(UserUnknown, match="user_id: the directory has no user 'nobody'"):
        await bench.send(Email(template="welcome", user_id="nobody"))


async def test_another_attempt_of_a_sent_mail_sends_nothing(bench: MailBench) -> None:
    first = await bench.send(WELCOME)
    second = await bench.send(WELCOME, attempt=2)

    assert second == first
    assert len(bench.relay.received) == 1


async def test_a_run_anew_of_a_job_whose_mail_was_sent_sends_nothing(bench: MailBench) -> None:
    first = await bench.send(WELCOME)
    again = await bench.send(WELCOME, run_id="run-2")

    assert again == first
    assert len(bench.relay.received) == 1


async def test_the_same_job_id_used_again_after_its_retention_sends_anew(bench: MailBench) -> None:
    first = await bench.send(WELCOME)
    later = datetime.now(UTC) + timedelta(hours=2)
    again = await bench.send(WELCOME, run_id="run-2", now=later)

    assert again.message_id != first.message_id
    assert len(bench.relay.received) == 2


async def test_a_replaced_job_that_says_something_else_is_sent(bench: MailBench) -> None:
    await bench.send(WELCOME)
    other = Email(template="welcome", to="ada@example.com", data={"name": "Countess"})
    await bench.send(other, run_id="run-2")

    assert len(bench.relay.received) == 2


async def test_a_lost_answer_is_named_and_the_mail_is_held(bench: MailBench) -> None:
    bench.relay.data = [KEEP_AND_DROP]
    receipt = await bench.send(WELCOME)
    later = await bench.send(WELCOME, attempt=2)

    assert receipt.delivery is later.delivery is Delivery.UNKNOWN
    assert len(bench.relay.received) == 1


async def test_a_lost_answer_under_resend_sends_again_with_the_same_id(bench: MailBench) -> None:
    bench.relay.data = [KEEP_AND_DROP]
    job = WELCOME.model_copy(update={"on_unknown": OnUnknown.RESEND})
    with pytest.raises(EmailOutcomeUnknown):
        await bench.send(job)
    receipt = await bench.send(job, attempt=2)

    ids = {received.message["Message-ID"] for received in bench.relay.received}
    assert receipt.delivery is Delivery.SENT
    assert ids == {receipt.message_id}
    assert len(bench.relay.received) == 2


async def test_resend_gives_up_after_three_lost_answers(bench: MailBench) -> None:
    bench.relay.data = [KEEP_AND_DROP] * 4
    job = WELCOME.model_copy(update={"on_unknown": OnUnknown.RESEND})
    for attempt in (1, 2):
        with pytest.raises(EmailOutcomeUnknown):
            await bench.send(job, attempt=attempt)
    receipt = await bench.send(job, attempt=3)

    assert receipt.delivery is Delivery.UNKNOWN
    assert len(bench.relay.received) == 3


async def test_a_connection_lost_before_the_message_leaves_no_claim(bench: MailBench) -> None:
    bench.relay.rcpt = [DROP]
    with pytest.raises(EmailRelayUnavailable):
        await bench.send(WELCOME)
    receipt = await bench.send(WELCOME, attempt=2)

    assert receipt.delivery is Delivery.SENT
    assert len(bench.relay.received) == 1


async def test_a_message_deferred_at_its_end_is_sent_by_the_next_attempt(bench: MailBench) -> None:
    bench.relay.data = ["451 4.3.0 try again"]
    with pytest.raises(EmailDeferred):
        await bench.send(WELCOME)
    receipt = await bench.send(WELCOME, attempt=2)

    assert receipt.delivery is Delivery.SENT
    assert len(bench.relay.received) == 1


async def test_greylisting_says_when_to_come_again(bench: MailBench) -> None:
    bench.relay.rcpt = ["451 4.7.1 Greylisted, come again"] * 3
    waits = []
    for attempt in (1, 2, 3):
        with pytest.raises(EmailGreylisted) as caught:
            await bench.send(WELCOME, attempt=attempt)
        waits.append(caught.value.next_retry_delay)

    assert waits == [timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=15)]


async def test_a_mailbox_that_does_not_exist_is_not_written_to_again(bench: MailBench) -> None:
    bench.relay.rcpt = ["550 5.1.1 <ada@example.com>: no such user"]
    with pytest.raises(EmailRecipientRejected) as caught:
        await bench.send(WELCOME)
    receipt = await bench.send(WELCOME, job_id="email-2")

    assert "ada@example.com" not in str(caught.value)
    assert receipt.delivery is Delivery.SUPPRESSED
    assert bench.relay.received == []


async def test_a_refusal_is_told_again_by_the_next_attempt(bench: MailBench) -> None:
    bench.relay.data = ["554 5.7.1 looks like spam"]
    with pytest.raises(EmailContentRejected):
        await bench.send(WELCOME)
    with pytest.raises(EmailContentRejected, match=r"554 5\.7\.1 looks like spam"):
        await bench.send(WELCOME, attempt=2)


@pytest.mark.parametrize(
    ("phase", "reply", "error"),
    [
        ("mail", "530 5.7.0 log in first", EmailRelayMisconfigured),
        ("data", "530 5.7.0 log in first", EmailRelayMisconfigured),
        ("mail", "550 5.7.1 not your sender", EmailSenderRejected),
    ],
)
async def test_what_is_no_fault_of_the_mail_is_forgotten_once_it_is_mended(
    bench: MailBench, phase: str, reply: str, error: type[JobError]
) -> None:
    getattr(bench.relay, phase).append(reply)
    with pytest.raises(error):
        await bench.send(WELCOME)
    before = len(bench.relay.received)

    assert (await bench.send(WELCOME)).delivery is Delivery.SENT
    assert len(bench.relay.received) == before + 1


async def test_a_refused_job_run_anew_is_tried_again(bench: MailBench) -> None:
    bench.relay.data = ["554 5.7.1 looks like spam"]
    with pytest.raises(EmailContentRejected):
        await bench.send(WELCOME)
    receipt = await bench.send(WELCOME, run_id="run-2")

    assert receipt.delivery is Delivery.SENT


async def test_a_mailbox_full_three_times_in_a_week_is_suppressed(bench: MailBench) -> None:
    bench.relay.rcpt = ["552 5.2.2 mailbox full"] * 3
    for number in range(3):
        with pytest.raises(EmailMailboxUnavailable):
            await bench.send(WELCOME, job_id=f"email-{number}")
    receipt = await bench.send(WELCOME, job_id="email-3")

    assert receipt.delivery is Delivery.SUPPRESSED


async def test_an_unsubscription_stops_bulk_mail_and_not_the_rest(bench: MailBench) -> None:
    await bench.ledger.suppress(
        TOKENS.address_hash("Ada@example.com"),
        SuppressionReason.UNSUBSCRIBE,
        scope="newsletter",
    )
    news = Email(
        template="newsletter", to="ada@example.com", data={"title": "News", "paragraphs": ["One"]}
    )
    stopped = await bench.send(news)
    sent = await bench.send(WELCOME, job_id="email-2")

    assert (stopped.delivery, sent.delivery) == (Delivery.SUPPRESSED, Delivery.SENT)


async def test_bulk_mail_carries_a_one_click_link_that_names_no_address(bench: MailBench) -> None:
    news = Email(
        template="newsletter", to="ada@example.com", data={"title": "News", "paragraphs": ["One"]}
    )
    await bench.send(news)

    message = bench.relay.received[0].message
    link = message["List-Unsubscribe"].strip("<>")
    token = link.removeprefix("https://app.example.com/v1/unsubscribe/")
    meaning = TOKENS.read_unsubscribe_token(token)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<newsletter.example.com>"
    assert meaning is not None
    assert meaning.address_hash == TOKENS.address_hash("ada@example.com")
    assert meaning.list_name == "newsletter"


async def test_a_mail_that_would_arrive_too_late_is_not_sent(bench: MailBench) -> None:
    job = WELCOME.model_copy(update={"expires_at": datetime.now(UTC) - timedelta(seconds=1)})

    assert (await bench.send(job)).delivery is Delivery.EXPIRED
    assert bench.relay.received == []


async def test_a_step_that_waits_beats_with_its_phase(
    bench: MailBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.emails.beating.BEAT_INTERVAL_S", 0.02)
    bench.relay.data = [STALL]
    task = asyncio.create_task(bench.send(WELCOME))
    while (await bench.beats.get()).message != "sending":
        pass  # a slow machine beats in the phases before, too
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_mail_cancelled_while_it_goes_out_is_still_recorded(bench: MailBench) -> None:
    arrived, answer = asyncio.Event(), asyncio.Event()
    bench.relay.before_answer = (arrived, answer)
    bench.steps = replace(bench.steps, last_words_s=60)
    task = asyncio.create_task(bench.send(WELCOME))
    await arrived.wait()
    task.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    bench.relay.before_answer = None

    assert (await bench.send(WELCOME, attempt=2)).delivery is Delivery.SENT
    assert len(bench.relay.received) == 1


async def test_a_worker_that_died_while_sending_leaves_a_named_unknown(bench: MailBench) -> None:
    bench.relay.data = [STALL]
    task = asyncio.create_task(bench.send(WELCOME))
    await bench.relay.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    receipt = await bench.send(WELCOME, attempt=2)
    assert receipt.delivery is Delivery.UNKNOWN
    assert "submit it under another id" in receipt.note


async def test_attachments_come_from_storage_and_keep_their_names(bench: MailBench) -> None:
    await bench.storage.put("jobs/report-1/sales.pdf", b"%PDF-1.7 " * 100)
    await bench.send(WELCOME.model_copy(update={"attachments": ["jobs/report-1/sales.pdf"]}))

    [part] = list(bench.relay.received[0].message.iter_attachments())
    assert part.get_filename() == "sales.pdf"
    assert part.get_content_type() == "application/pdf"
    assert part.get_content() == b"%PDF-1.7 " * 100


async def test_a_missing_attachment_fails_the_job_by_its_place(bench: MailBench) -> None:
    with pytest.raises(AttachmentMissing, match=r"attachments\.0: storage has no such object"):
        await bench.send(WELCOME.model_copy(update={"attachments": ["nowhere.pdf"]}))


async def test_attachments_that_are_too_large_together_fail_the_job(bench: MailBench) -> None:
    for name in ("a.bin", "b.bin"):
        await bench.storage.put(name, bytes(6 * 1024 * 1024))
    with pytest.raises(AttachmentsTooLarge, match=r"attachments\.1"):
        await bench.send(WELCOME.model_copy(update={"attachments": ["a.bin", "b.bin"]}))


async def test_a_reset_link_is_the_same_at_every_attempt_and_works_once(bench: MailBench) -> None:
    bench.relay.data = [KEEP_AND_DROP]
    with pytest.raises(EmailOutcomeUnknown):
        await bench.send(RESET)
    await bench.send(RESET, attempt=2)

    bodies = {reset_link(received.content) for received in bench.relay.received}
    [token] = bodies
    assert await bench.resets.redeem(reset_token_hash(token)) == "emmy"
    assert await bench.resets.redeem(reset_token_hash(token)) is None


async def test_a_newer_reset_voids_the_older_link(bench: MailBench) -> None:
    now = datetime.now(UTC)
    await bench.send(RESET, now=now)
    newer = RESET.model_copy(update={"request_id": "reset-8"})
    await bench.send(newer, job_id="email-2", now=now + timedelta(seconds=1))
    older = await bench.send(RESET, job_id="email-3", now=now)

    first, second = (reset_link(received.content) for received in bench.relay.received)
    assert older.delivery is Delivery.EXPIRED
    assert await bench.resets.redeem(reset_token_hash(first)) is None
    assert await bench.resets.redeem(reset_token_hash(second)) == "emmy"


async def test_a_reset_leaves_no_token_in_result_or_database(
    bench: MailBench, tmp_path: Path
) -> None:
    receipt = await bench.send(RESET)
    token = reset_link(bench.relay.received[0].content)
    written = await asyncio.to_thread(read_all, tmp_path)

    assert token not in receipt.model_dump_json()
    assert b"reset-7" in written
    assert token.encode() not in written


async def test_the_ledger_holds_no_address(bench: MailBench) -> None:
    await bench.send(WELCOME)
    async with bench.database.snapshot() as connection:
        [row] = (await connection.execute(select(email_send))).all()

    assert row.state == "sent"
    assert "ada@" not in str(row)


def read_all(folder: Path) -> bytes:
    """Return the content of the database and its log."""
    return b"".join(path.read_bytes() for path in folder.glob("conveyor.db*"))


def reset_link(content: bytes) -> str:
    """Return the token of the link in a mail's text."""
    body = message_from_bytes(content, policy=policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content()).partition("token=")[2].split()[0]

"""The ledgers of mails, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.database import Database
from adapters.database.emails import EmailLedger
from adapters.database.mailings import MailingLedger, Recipients
from adapters.database.password_resets import PasswordResets
from adapters.database.users import load_demo
from jobs.emails import LedgerEntry, ResetStanding, SendState, SuppressionReason
from jobs.errors import DatabaseRefused
from jobs.mailings import MailingEntry, Outcome

FRESH = LedgerEntry(
    key="k1",
    run_id="run-1",
    message_id="<1@example.com>",
    state=SendState.INTENT,
    claims=0,
    updated_at=datetime.now(UTC),
)
ABOUT = {"address_hash": "h1", "template": "welcome"}


async def test_of_many_claims_one_wins(database: Database) -> None:
    ledger = EmailLedger(database)
    claims = await asyncio.gather(*(ledger.claim(FRESH, seen=None, **ABOUT) for _ in range(8)))

    assert [claim is not None for claim in claims].count(True) == 1


async def test_a_claim_that_was_seen_is_taken_over_once(database: Database) -> None:
    ledger = EmailLedger(database)
    first = await ledger.claim(FRESH, seen=None, **ABOUT)
    second, late = [await ledger.claim(FRESH, seen=first, **ABOUT) for _ in range(2)]

    assert first is not None
    assert second is not None
    assert (second.claims, late) == (2, None)


async def test_a_late_outcome_does_not_overwrite_a_newer_claim(database: Database) -> None:
    ledger = EmailLedger(database)
    first = await ledger.claim(FRESH, seen=None, **ABOUT)
    assert first is not None
    await ledger.claim(FRESH, seen=first, **ABOUT)
    await ledger.settle(replace(first, state=SendState.SENT))

    entry = (await ledger.look("k1", "h1", None)).entry
    assert entry is not None
    assert entry.state is SendState.SENDING


async def test_an_outcome_is_read_back_whole(database: Database) -> None:
    ledger = EmailLedger(database)
    claim = await ledger.claim(FRESH, seen=None, **ABOUT)
    assert claim is not None
    sent = replace(claim, state=SendState.SENT, smtp_code=250, smtp_text="2.0.0 queued")
    await ledger.settle(sent)

    entry = (await ledger.look("k1", "h1", None)).entry
    assert entry is not None
    assert replace(entry, updated_at=sent.updated_at) == sent


async def test_a_refusal_can_suppress_its_address(database: Database) -> None:
    ledger = EmailLedger(database)
    refused = replace(FRESH, state=SendState.REFUSED, error="EmailRecipientRejected")
    for _ in range(2):
        await ledger.note(refused, suppress="h1", **ABOUT)

    standing = await ledger.look("k1", "h1", None)
    assert standing.suppressed is SuppressionReason.HARD_BOUNCE
    assert await ledger.refusals("h1", "EmailRecipientRejected", timedelta(days=7)) == 1
    assert await ledger.unsuppress("h1")
    assert (await ledger.look("k1", "h1", None)).suppressed is None


async def test_a_suppression_ends_when_it_expires(database: Database) -> None:
    ledger = EmailLedger(database)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await ledger.suppress("h1", SuppressionReason.MANUAL, expires_at=past)

    assert (await ledger.look("k1", "h1", None)).suppressed is None


async def test_an_unsubscription_is_from_its_list(database: Database) -> None:
    ledger = EmailLedger(database)
    await ledger.suppress("h1", SuppressionReason.UNSUBSCRIBE, scope="news")

    found = [(await ledger.look("k1", "h1", name)).suppressed for name in ("news", "other", None)]
    assert found == [SuppressionReason.UNSUBSCRIBE, None, None]


async def prepare(
    resets: PasswordResets, name: str, subject: str, expires_at: datetime
) -> ResetStanding:
    """Prepare a request whose token has the hash ``name``."""
    return await resets.prepare(
        request_id=name, subject=subject, token_hash=name, expires_at=expires_at
    )


async def test_the_newest_reset_wins_whatever_the_order(database: Database) -> None:
    resets = PasswordResets(database)
    now = datetime.now(UTC) + timedelta(minutes=30)
    newer = await prepare(resets, "r2", "ada", now + timedelta(minutes=1))
    older = await prepare(resets, "r1", "ada", now)

    assert (newer.usable, older.usable) == (True, False)
    redeemed = [await resets.redeem(name) for name in ("r1", "r2", "r2")]
    assert redeemed == [None, "ada", None]


async def test_a_reset_of_someone_else_voids_nothing(database: Database) -> None:
    resets = PasswordResets(database)
    soon = datetime.now(UTC) + timedelta(minutes=30)
    for name in ("ada", "grace"):
        await prepare(resets, name, name, soon)

    assert [await resets.redeem(name) for name in ("ada", "grace")] == ["ada", "grace"]


async def test_an_expired_reset_can_not_be_redeemed(database: Database) -> None:
    resets = PasswordResets(database)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await prepare(resets, "r", "ada", past)

    assert await resets.redeem("r") is None


def claim_of(position: int, claims: int = 1) -> MailingEntry:
    return MailingEntry(
        address_hash=f"h{position}", position=position, outcome=Outcome.SENDING, claims=claims
    )


async def test_claims_side_by_side_are_all_won_and_their_outcomes_kept(database: Database) -> None:
    ledger = MailingLedger(database)
    async with ledger.book("m", together=5) as book:
        for start in range(0, 50, 5):
            entries = [claim_of(start + n) for n in range(5)]
            assert await asyncio.gather(*map(book.claim, entries)) == [True] * 5
            for entry in entries:
                book.settle(replace(entry, outcome=Outcome.SENT, smtp_code=250))

    assert await ledger.counts("m") == {Outcome.SENT: 50}


async def test_a_recipient_is_claimed_once_and_again_only_as_seen(database: Database) -> None:
    ledger = MailingLedger(database)
    async with ledger.book("m") as one, ledger.book("m") as other:
        first = await asyncio.gather(one.claim(claim_of(1)), other.claim(claim_of(1)))
        again = await one.claim(claim_of(1, claims=2))
        stale = await other.claim(claim_of(1, claims=2))

    assert sorted(first) == [False, True]
    assert (again, stale) == (True, False)


async def test_a_claim_that_the_database_refuses_leaves_no_transaction_behind(
    database: Database,
) -> None:
    ledger = MailingLedger(database)
    nothing: Any = None
    with pytest.raises(DatabaseRefused):
        async with ledger.book("m") as book:
            await book.claim(replace(claim_of(1), smtp_text=nothing))

    async with ledger.book("m") as book:
        assert await book.claim(claim_of(1))


async def test_the_same_address_at_another_place_is_not_claimed(database: Database) -> None:
    ledger = MailingLedger(database)
    async with ledger.book("m") as book:
        await book.claim(claim_of(1))
        twin = replace(claim_of(1, claims=2), position=7)
        assert not await book.claim(twin)


async def test_a_mailing_goes_on_until_it_is_finished_and_then_begins_anew(
    database: Database,
) -> None:
    ledger = MailingLedger(database)
    first = await ledger.open("k", "run-1")
    resumed = await ledger.open("k", "run-2")
    await ledger.finish(resumed, "run-2")
    retried = await ledger.open("k", "run-2")
    anew = await ledger.open("k", "run-3")

    assert first == resumed == retried == "k-1"
    assert anew == "k-2"


async def test_what_is_known_of_a_list_comes_with_who_is_suppressed(database: Database) -> None:
    ledger = MailingLedger(database)
    await EmailLedger(database).suppress("h2", SuppressionReason.UNSUBSCRIBE, scope="news")
    await ledger.note("m", [replace(claim_of(3), outcome=Outcome.DUPLICATE, claims=0)])

    known, suppressed = await ledger.known("m", ["h1", "h2", "h3"], "news")
    assert {name: entry.outcome for name, entry in known.items()} == {"h3": Outcome.DUPLICATE}
    assert suppressed == {"h2"}
    assert list((await ledger.outcomes("m", 0, 10)).keys()) == [3]


async def test_the_directory_gives_everyone_and_their_addresses(database: Database) -> None:
    await load_demo(database)
    recipients = Recipients(database)
    pages = [page async for page in recipients.all_users()]
    addresses = await recipients.addresses(["emmy", "nobody"])

    assert sum(len(page) for page in pages) == 10
    assert {name: found.email for name, found in addresses.items()} == {"emmy": "emmy@example.com"}

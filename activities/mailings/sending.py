"""Sends one chunk: several mails side by side, each claimed in the ledger before it goes out."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from activities.emails.needs import Composer, Mailer
from activities.mailings.needs import Book, Ledger
from activities.working import cut
from jobs.emails import (
    MAX_CLAIMS,
    EmailDeferred,
    EmailNotComposed,
    EmailOutcomeUnknown,
    EmailRecipientRejected,
    EmailRefused,
    EmailRelayUnavailable,
    EmailSenderRejected,
    Letter,
    SmtpAnswered,
)
from jobs.mailings import MailingEntry, Outcome
from jobs.templates import OnUnknown

SENDERS: Final = 5
"""Mails side by side, as many as a worker keeps connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """A recipient with everything that sending needs."""

    letter: Letter
    entry: MailingEntry
    """Its claim: the state that is written before the mail goes out."""


class Taken(Exception):
    """Someone else claimed the recipient."""


@dataclass(slots=True, kw_only=True)
class ChunkSender:
    """Sends to the recipients of one chunk that are still to be sent to."""

    mailer: Mailer
    composer: Composer
    ledger: Ledger
    book: Book
    on_unknown: OnUnknown
    source: str
    done: int = 0
    deferred: int = 0
    stopping: bool = False
    failure: Exception | None = field(default=None)

    async def run(self, recipients: Sequence[Addressed], *, last_words_s: float) -> None:
        """Send to all; when cancelled, finish the mails that are going out and no others.

        Raises:
            TransientError: the relay is away or lets nobody in; who was sent to is in the ledger.
            EmailSenderRejected: it will never take mail from us.
        """
        waiting = iter(recipients)
        senders = [asyncio.create_task(self._send_in_turn(waiting)) for _ in range(SENDERS)]
        try:
            await asyncio.wait(senders)
        except asyncio.CancelledError:
            self.stopping = True
            await asyncio.wait(senders, timeout=last_words_s)
            await cut(*senders)
            raise
        if self.failure is not None:
            raise self.failure

    async def _send_in_turn(self, waiting: Iterator[Addressed]) -> None:
        for addressed in waiting:
            if self.stopping:
                return
            try:
                await self._send_twice(addressed)
            except Exception as error:  # noqa: BLE001 (handed on by ``run``, once the others end)
                self.failure = self.failure or error
                self.stopping = True
                return
            self.done += 1

    async def _send_twice(self, addressed: Addressed) -> None:
        """Send; if the connection was lost before the mail went out, once more on another."""
        try:
            await self._send(addressed)
        except EmailRelayUnavailable:
            await self._send(addressed)

    async def _send(self, addressed: Addressed) -> None:
        claimed: MailingEntry | None = None

        async def claim() -> None:
            nonlocal claimed
            if not await self.book.claim(addressed.entry):
                raise Taken
            claimed = addressed.entry

        try:
            message = await self.composer.compose(addressed.letter)
            answer = await self.mailer.send(addressed.letter.to, message, claim)
        except Taken:
            return
        except EmailNotComposed:
            await self._conclude(addressed, claimed, Outcome.INVALID)
        except EmailOutcomeUnknown:
            again = self.on_unknown is OnUnknown.RESEND and addressed.entry.claims < MAX_CLAIMS
            await self._conclude(addressed, claimed, Outcome.DEFERRED if again else Outcome.UNKNOWN)
        except EmailDeferred as error:
            await self._conclude(addressed, claimed, Outcome.DEFERRED, error)
        except EmailSenderRejected:
            raise
        except EmailRefused as error:
            await self._conclude(addressed, claimed, Outcome.REFUSED, error)
            if isinstance(error, EmailRecipientRejected) and error.text.startswith("5.1."):
                await self.ledger.bounced(addressed.entry.address_hash, self.source)
        else:
            self.book.settle(
                replace(
                    addressed.entry,
                    outcome=Outcome.SENT,
                    smtp_code=answer.code,
                    smtp_text=answer.text,
                )
            )

    async def _conclude(
        self,
        addressed: Addressed,
        claimed: MailingEntry | None,
        outcome: Outcome,
        answer: SmtpAnswered | None = None,
    ) -> None:
        """Record an outcome other than sent, whether or not the mail had been claimed."""
        entry = replace(addressed.entry, outcome=outcome)
        if answer is not None:
            entry = replace(entry, smtp_code=answer.code, smtp_text=answer.text)
        if outcome is Outcome.DEFERRED:
            self.deferred += 1
        if claimed is not None:
            self.book.settle(entry)
        else:
            await self.book.claim(entry)


def still_to_send(known: MailingEntry | None, on_unknown: OnUnknown) -> bool:
    """Return whether a recipient whose row is ``known`` is to be sent to."""
    if known is None or known.outcome is Outcome.DEFERRED:
        return True
    uncertain = known.outcome in {Outcome.SENDING, Outcome.UNKNOWN}
    return uncertain and on_unknown is OnUnknown.RESEND and known.claims < MAX_CLAIMS


def facts(entry: MailingEntry) -> dict[str, Any]:
    """Return what the outcomes tell of an entry."""
    outcome = Outcome.UNKNOWN if entry.outcome is Outcome.SENDING else entry.outcome
    return {
        "outcome": outcome.value,
        "smtp_code": entry.smtp_code,
        "smtp_text": entry.smtp_text,
    }

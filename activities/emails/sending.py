"""Steps of the email and reminder jobs: one, sending.

A message goes out once in effect. SMTP has no key by which a relay could tell a repetition, so the
message is claimed in the ledger at the last moment before it goes out, and what came of it is
recorded right after. An attempt that finds a claim without an outcome knows that the one before
died in between: the mail's fate is ``unknown``, and the template's policy says whether it goes out
again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from temporalio import activity

from activities.emails.beating import beating
from activities.emails.draft import Draft, digest, outcome, settled_or_stale
from activities.emails.needs import Composer, Files, Ledger, Mailer, Resets, UserDirectory
from activities.errands import Errand, own_errand
from activities.working import cut
from jobs.addresses import check_address
from jobs.emails import (
    MAX_ATTACHMENT_BYTES,
    WAITS_WHEN_GREYLISTED,
    Attachment,
    AttachmentMissing,
    AttachmentsTooLarge,
    Delivery,
    Email,
    EmailClaimed,
    EmailGreylisted,
    EmailMailboxUnavailable,
    EmailNotComposed,
    EmailOutcomeUnknown,
    EmailReceipt,
    EmailRecipientRejected,
    EmailRefused,
    EmailRelayMisconfigured,
    EmailSenderRejected,
    LedgerEntry,
    Letter,
    SendState,
    SmtpAnswered,
    UserUnknown,
)
from jobs.errors import TransientError
from jobs.files import ObjectNotFound, ObjectTooLarge
from jobs.mail_tokens import MailTokens, reset_token_hash

LAST_WORDS_S: Final = 10.0
"""How long a cancelled step waits for the answer to a message that is going out."""
STRIKES: Final = 3
STRIKES_WITHIN: Final = timedelta(days=7)
"""A mailbox that was full or closed so often is not written to again."""


@dataclass(slots=True)
class Claim:
    """The hold of this attempt on its message, once it has it."""

    entry: LedgerEntry | None = None
    begun: bool = False
    """Whether the ledger was asked for it: it may be ours from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailActivities:
    """Steps of the email job, over open adapters."""

    mailer: Mailer
    composer: Composer
    ledger: Ledger
    resets: Resets
    users: UserDirectory
    files: Files
    tokens: MailTokens
    public_url: str
    last_words_s: float = field(default=LAST_WORDS_S)

    @activity.defn(name="emails.send")
    async def send(self, job: Email) -> EmailReceipt:
        """Render and send ``job``.

        Idempotent by the ledger: a message that was taken is not sent again by a later attempt, nor
        by a new run of a job that failed in between.
        """
        with beating() as enter:
            return await self._send(job, own_errand(), enter)

    async def perform(self, job: Email, errand: Errand) -> EmailReceipt:
        """Render and send ``job`` as an item of a batch; idempotent as ``send`` is."""
        return await self._send(job, errand, lambda _: None)

    async def _send(self, job: Email, errand: Errand, enter: Callable[[str], None]) -> EmailReceipt:
        draft = await self._resolve(job, errand)
        message_id = self.composer.message_id(draft.message_seed)
        if draft.now >= draft.expires_at:
            return EmailReceipt(delivery=Delivery.EXPIRED, message_id=message_id)
        standing = await self.ledger.look(draft.key, draft.address_hash, draft.list_name)
        seen = settled_or_stale(draft, standing.entry)
        if seen is not None and seen.state is SendState.SENDING:
            seen = replace(seen, state=SendState.UNKNOWN)
            await self.ledger.settle(seen)
        if (receipt := outcome(draft, seen)) is not None:
            return receipt
        if standing.suppressed is not None:
            return EmailReceipt(delivery=Delivery.SUPPRESSED, message_id=message_id)
        enter("composing")
        letter = await self._letter(draft, message_id)
        if letter is None:
            return EmailReceipt(delivery=Delivery.EXPIRED, message_id=message_id)
        message = await self.composer.compose(letter)
        enter("sending")
        return await self._hand_over(draft, letter, message, standing.entry)

    async def _resolve(self, job: Email, errand: Errand) -> Draft:
        user = None
        address = job.to
        if job.user_id is not None:
            user = await self.users.find(job.user_id)
            if user is None:
                msg = f"user_id: the directory has no user {job.user_id!r}"
                raise UserUnknown(msg)
            try:
                address = check_address(user.email)
            except ValueError:
                msg = f"user_id: the directory's address of {job.user_id!r} is no mail address"
                raise EmailNotComposed(msg) from None
        assert address is not None  # noqa: S101 (the contract has one of the two)
        said = job.model_dump_json(exclude={"expires_at"})
        return Draft(
            job=job,
            key=digest(errand.job_id, said),
            job_id=errand.job_id,
            run_id=errand.run_id,
            attempt=errand.attempt,
            now=errand.now,
            expires_at=job.expires_at or errand.scheduled_at + job.mail_template.lifetime,
            to=address,
            address_hash=self.tokens.address_hash(address),
            user=user,
        )

    async def _letter(self, draft: Draft, message_id: str) -> Letter | None:
        """Return what to say, or None if a reset link in it would not work."""
        job, user = draft.job, draft.user
        template = job.mail_template
        known = {"name": user.name} if user and "name" in template.data.model_fields else {}
        variables = template.data.model_validate({**known, **job.data}).model_dump(mode="json")
        if template.reset_link:
            link = await self._reset_link(draft)
            if link is None:
                return None
            variables |= link
        list_name = draft.list_name
        return Letter(
            to=draft.to,
            template=template.name,
            locale=job.locale or (user.locale if user else "en"),
            variables=variables,
            message_id=message_id,
            timestamp=draft.now.timestamp(),
            list_name=list_name,
            unsubscribe_token=self.tokens.unsubscribe_token(list_name, draft.to)
            if list_name
            else None,
            attachments=await self._attachments(job.attachments),
        )

    async def _reset_link(self, draft: Draft) -> dict[str, str] | None:
        request_id = draft.job.request_id or ""
        token = self.tokens.reset_token(request_id)
        standing = await self.resets.prepare(
            request_id=request_id,
            subject=draft.job.user_id or draft.address_hash,
            token_hash=reset_token_hash(token),
            expires_at=draft.expires_at,
        )
        if not standing.usable or draft.now >= standing.expires_at:
            return None
        zone = ZoneInfo(draft.user.time_zone if draft.user else "UTC")
        until = standing.expires_at.astimezone(zone)
        return {
            "reset_url": f"{self.public_url.rstrip('/')}/reset-password?token={token}",
            "valid_until": f"{until:%H:%M} ({until.tzname()})",
        }

    async def _attachments(self, keys: Sequence[str]) -> tuple[Attachment, ...]:
        left = MAX_ATTACHMENT_BYTES
        found = []
        for index, key in enumerate(keys):
            try:
                content = await self.files.get(key, limit=left)
            except ObjectNotFound as error:
                msg = f"attachments.{index}: storage has no such object: {key!r}"
                raise AttachmentMissing(msg) from error
            except ObjectTooLarge as error:
                msg = (
                    f"attachments.{index}: the attachments are larger together than "
                    f"{MAX_ATTACHMENT_BYTES:,} bytes: put a link into the mail instead"
                )
                raise AttachmentsTooLarge(msg) from error
            left -= len(content)
            found.append(Attachment(name=key.rpartition("/")[2], content=content))
        return tuple(found)

    async def _hand_over(
        self, draft: Draft, letter: Letter, message: bytes, seen: LedgerEntry | None
    ) -> EmailReceipt:
        """Send, and record what came of it; once claimed, this goes on although cancelled."""
        claim = Claim()
        sending = asyncio.create_task(self._send_claimed(draft, letter, message, seen, claim))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            if claim.begun:
                await asyncio.wait({sending}, timeout=self.last_words_s)
            await cut(sending)
            if not sending.cancelled():
                sending.exception()
            raise

    async def _send_claimed(
        self,
        draft: Draft,
        letter: Letter,
        message: bytes,
        seen: LedgerEntry | None,
        claim: Claim,
    ) -> EmailReceipt:
        fresh = LedgerEntry(
            key=draft.key,
            run_id=draft.run_id,
            message_id=letter.message_id,
            state=SendState.INTENT,
            claims=seen.claims if seen else 0,
            updated_at=draft.now,
        )
        about = {"address_hash": draft.address_hash, "template": letter.template}

        async def claim_message() -> None:
            claim.begun = True
            claim.entry = await self.ledger.claim(fresh, seen=seen, **about)
            if claim.entry is None:
                msg = "another attempt of this job is sending the message"
                raise EmailClaimed(msg)

        try:
            answer = await self.mailer.send(letter.to, message, claim_message)
        except EmailOutcomeUnknown as error:
            return await self._lost_answer(draft, claim, error)
        except (EmailRelayMisconfigured, EmailSenderRejected) as error:
            # not the mail's fault: it goes out when the relay or the settings are mended
            if claim.entry is not None:
                await self.ledger.settle(_answered(claim.entry, SendState.INTENT, error))
            raise
        except EmailRefused as error:
            await self._record_refusal(draft, claim.entry, fresh, about, error)
            raise
        except TransientError as error:
            if claim.entry is not None:
                await self.ledger.settle(_answered(claim.entry, SendState.INTENT, error))
            raise patient(error, draft.attempt) from None
        assert claim.entry is not None  # noqa: S101 (a mailer sends nothing before the claim)
        await self.ledger.settle(
            replace(claim.entry, state=SendState.SENT, smtp_code=answer.code, smtp_text=answer.text)
        )
        return EmailReceipt(
            delivery=Delivery.SENT,
            message_id=letter.message_id,
            smtp_code=answer.code,
            smtp_text=answer.text,
        )

    async def _lost_answer(
        self, draft: Draft, claim: Claim, error: EmailOutcomeUnknown
    ) -> EmailReceipt:
        assert claim.entry is not None  # noqa: S101 (nothing goes out before the claim)
        entry = replace(claim.entry, state=SendState.UNKNOWN)
        await self.ledger.settle(entry)
        receipt = outcome(draft, entry)
        if receipt is None:
            raise error
        return receipt

    async def _record_refusal(
        self,
        draft: Draft,
        claimed: LedgerEntry | None,
        fresh: LedgerEntry,
        about: dict[str, Any],
        error: EmailRefused,
    ) -> None:
        gone = isinstance(error, EmailRecipientRejected) and error.text.startswith("5.1.")
        if isinstance(error, EmailMailboxUnavailable):
            name = type(error).__name__
            before = await self.ledger.refusals(draft.address_hash, name, STRIKES_WITHIN)
            gone = before + 1 >= STRIKES
        suppress = draft.address_hash if gone else None
        entry = _answered(claimed or fresh, SendState.REFUSED, error)
        if claimed is None:
            await self.ledger.note(entry, suppress=suppress, **about)
        else:
            await self.ledger.settle(entry, suppress=suppress)

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.send,)


def patient(error: TransientError, attempt: int) -> TransientError:
    """Return ``error`` with the wait that a greylist asks for at this attempt."""
    if not isinstance(error, EmailGreylisted):
        return error
    wait = WAITS_WHEN_GREYLISTED[min(attempt, len(WAITS_WHEN_GREYLISTED)) - 1]
    return EmailGreylisted(error.message, retry_after=wait)


def _answered(entry: LedgerEntry, state: SendState, error: Exception) -> LedgerEntry:
    answer = error if isinstance(error, SmtpAnswered) else SmtpAnswered()
    name = type(error).__name__ if state is SendState.REFUSED else ""
    return replace(entry, state=state, smtp_code=answer.code, smtp_text=answer.text, error=name)

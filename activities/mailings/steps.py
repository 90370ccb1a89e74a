"""Steps of the mailing job.

Each recipient is sent to at most once: the ledger has a row per mailing and address, which is
claimed after the relay has accepted the recipient and before the mail goes out. An attempt that
finds a claim without an outcome knows that the one before died in between; that recipient is
``unknown``, or sent to again if the template's policy says so. Everyone else is sent to by the next
attempt, so nobody is skipped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError
from temporalio import activity

from activities.emails.needs import Composer, Mailer
from activities.mailings import lists
from activities.mailings.needs import Directory, Files, Ledger
from activities.mailings.sending import SENDERS, Addressed, ChunkSender, facts, still_to_send
from activities.progress import beating_with, report
from activities.working import job_folder
from jobs.addresses import check_address
from jobs.emails import Letter
from jobs.mail_tokens import MailTokens
from jobs.mailings import (
    CHUNK,
    Address,
    Chunk,
    ChunkResult,
    Mailing,
    MailingEntry,
    MailingResult,
    Outcome,
    Prepared,
    Recipient,
)
from jobs.templates import Category, find

LAST_WORDS_S: Final = 10.0
"""How long a cancelled step waits for the answers to mails that are going out."""
BEAT_INTERVAL_S: Final = 1.0
PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingActivities:
    """Steps of the mailing job, over open adapters."""

    mailer: Mailer
    composer: Composer
    ledger: Ledger
    directory: Directory
    files: Files
    tokens: MailTokens
    chunk: int = CHUNK
    last_words_s: float = field(default=LAST_WORDS_S)

    @activity.defn(name="mailings.prepare")
    async def prepare(self, mailing: Mailing) -> Prepared:
        """Make the list a stored file and say where its chunks begin.

        Idempotent: a list that was written is read again, not made again, so that a query gives the
        same recipients to every attempt and to every run of the job.
        """
        info = activity.info()
        said = mailing.model_dump_json()
        digest = hashlib.sha256(f"{info.workflow_id}\n{said}".encode()).hexdigest()[:32]
        name = await self.ledger.open(digest, info.workflow_run_id or "")
        source = mailing.recipients_source
        if source is None:
            source = f"jobs/{job_folder()}/recipients-{name}.jsonl"
            if await self.files.stat(source) is None:
                await self._write_list(mailing, source)
        total, offsets = await lists.measure(self.files, source, self.chunk)
        return Prepared(mailing=name, source=source, total=total, chunk=self.chunk, offsets=offsets)

    async def _write_list(self, mailing: Mailing, key: str) -> None:
        if mailing.recipients is not None:
            entries = [entry.model_dump_json(exclude_none=True) for entry in mailing.recipients]
            await self.files.put(key, "".join(f"{entry}\n" for entry in entries).encode())
            return
        written = 0
        async with self.files.writer(key) as writer:
            async for page in self.directory.all_users():
                page_lines = "".join(f"{json.dumps({'user_id': user_id})}\n" for user_id in page)
                await writer.write(page_lines.encode())
                written += len(page)
                report(written, unit="recipients")

    @activity.defn(name="mailings.send_chunk")
    async def send_chunk(self, chunk: Chunk) -> ChunkResult:
        """Send to everyone in one chunk who has no outcome yet.

        Idempotent by the ledger, recipient by recipient.
        """
        found = await lists.stretch(self.files, chunk.source, start=chunk.offset, count=chunk.count)
        recipients = await self._addressed(chunk, found)
        async with self.ledger.book(chunk.mailing, together=SENDERS) as book:
            sender = ChunkSender(
                mailer=self.mailer,
                composer=self.composer,
                ledger=self.ledger,
                book=book,
                on_unknown=chunk.on_unknown,
                source=activity.info().workflow_id or "",
                done=chunk.count - len(recipients),
            )
            with beating_with(
                lambda: report(sender.done, chunk.count, unit="recipients"), BEAT_INTERVAL_S
            ):
                await sender.run(recipients, last_words_s=self.last_words_s)
        return ChunkResult(deferred=sender.deferred)

    async def _addressed(self, chunk: Chunk, found: Sequence[bytes]) -> list[Addressed]:
        """Return who is to be sent to, and note the outcomes of all others."""
        entries = [lists.parse(line) for line in found]
        users = await self.directory.addresses(
            [entry.user_id for entry in entries if entry is not None and entry.user_id is not None]
        )
        letters = {
            chunk.position + index: self._letter(chunk, entry, users) if entry else None
            for index, entry in enumerate(entries)
        }
        hashes = {
            position: self.tokens.address_hash(letter.to)
            for position, letter in letters.items()
            if letter is not None
        }
        known, suppressed = await self.ledger.known(
            chunk.mailing, list(set(hashes.values())), chunk.list_name
        )
        recipients: list[Addressed] = []
        notes: list[MailingEntry] = []
        owners = {entry.address_hash: entry.position for entry in known.values()}
        for position, letter in letters.items():
            if letter is None:
                notes.append(placeless(Outcome.INVALID, position))
                continue
            address_hash = hashes[position]
            if owners.setdefault(address_hash, position) != position:
                notes.append(placeless(Outcome.DUPLICATE, position))
                continue
            row = known.get(address_hash)
            if row is None and address_hash in suppressed:
                notes.append(
                    MailingEntry(
                        address_hash=address_hash, position=position, outcome=Outcome.SUPPRESSED
                    )
                )
            elif still_to_send(row, chunk.on_unknown):
                claims = row.claims + 1 if row else 1
                entry = MailingEntry(
                    address_hash=address_hash,
                    position=position,
                    outcome=Outcome.SENDING,
                    claims=claims,
                )
                recipients.append(Addressed(letter=letter, entry=entry))
        await self._name_unknown(chunk, list(known.values()))
        await self.ledger.note(chunk.mailing, notes)
        return recipients

    async def _name_unknown(self, chunk: Chunk, known: Sequence[MailingEntry]) -> None:
        """Record that claims of an attempt that died will have no outcome."""
        lost = [
            replace(entry, outcome=Outcome.UNKNOWN)
            for entry in known
            if entry.outcome is Outcome.SENDING and not still_to_send(entry, chunk.on_unknown)
        ]
        if lost:
            async with self.ledger.book(chunk.mailing) as book:
                for entry in lost:
                    book.settle(entry)

    def _letter(
        self, chunk: Chunk, recipient: Recipient, users: dict[str, Address] | Any
    ) -> Letter | None:
        """Return what to send to a recipient, or None if the entry can't be sent to."""
        template = find(chunk.template)
        user: Address | None = users.get(recipient.user_id) if recipient.user_id else None
        address = recipient.to if recipient.to is not None else user.email if user else None
        if address is None:
            return None
        known = {"name": user.name} if user and "name" in template.data.model_fields else {}
        try:
            to = check_address(address)
            variables = template.data.model_validate({**known, **chunk.data, **recipient.data})
        except (ValueError, ValidationError):
            return None
        bulk = template.category is Category.BULK
        seed = hashlib.sha256(f"{chunk.mailing}\n{to.lower()}".encode()).hexdigest()[:32]
        return Letter(
            to=to,
            template=template.name,
            locale=recipient.locale or (user.locale if user else chunk.locale),
            variables=variables.model_dump(mode="json"),
            message_id=self.composer.message_id(seed),
            timestamp=activity.info().started_time.timestamp(),
            list_name=chunk.list_name if bulk else None,
            unsubscribe_token=self.tokens.unsubscribe_token(chunk.list_name, to) if bulk else None,
        )

    @activity.defn(name="mailings.finish")
    async def finish(self, prepared: Prepared) -> MailingResult:
        """Write what became of each recipient, count, and close the mailing.

        Idempotent: writing again gives the same file.
        """
        key = f"jobs/{job_folder()}/outcomes-{prepared.mailing}.jsonl"
        position = 0
        async with self.files.writer(key) as writer:
            page: list[bytes] = []
            async for line in lists.lines(self.files, prepared.source):
                page.append(line)
                if len(page) == PAGE:
                    await writer.write(await self._told(prepared, position, page))
                    position += len(page)
                    page = []
                    report(position, prepared.total, unit="recipients")
            await writer.write(await self._told(prepared, position, page))
        counts = await self.ledger.counts(prepared.mailing)
        await self.ledger.finish(prepared.mailing, activity.info().workflow_run_id or "")
        told = {outcome.value: count for outcome, count in counts.items()}
        told["unknown"] = told.pop("sending", 0) + told.get("unknown", 0)
        return MailingResult(total=prepared.total, outcomes=key, **told)

    async def _told(self, prepared: Prepared, position: int, page: Sequence[bytes]) -> bytes:
        rows = await self.ledger.outcomes(prepared.mailing, position, len(page))
        told = []
        for index, line in enumerate(page, start=position):
            row = rows.get(index) or placeless(Outcome.UNKNOWN, index)
            told.append(json.dumps({"position": index, **lists.whom(line), **facts(row)}))
        return "".join(f"{line}\n" for line in told).encode()

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.prepare, self.send_chunk, self.finish)


def placeless(outcome: Outcome, position: int) -> MailingEntry:
    """Return the row of an entry that has no address of its own."""
    return MailingEntry(
        address_hash=f"{outcome.value}:{position}", position=position, outcome=outcome
    )

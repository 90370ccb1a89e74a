"""The ledger of mailings: which there are, and a row per recipient."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from adapters.database.emails import EVERYWHERE, email_suppression
from adapters.database.engine import Database
from adapters.database.mailings.book import MailingBook
from adapters.database.mailings.tables import mailing_recipient, mailing_run
from adapters.database.metadata import to_micros
from jobs.emails import SuppressionReason
from jobs.mailings import MailingEntry, Outcome


@dataclass(frozen=True, slots=True)
class MailingLedger:
    """Mailings in the application database."""

    database: Database

    async def open(self, key: str, run_id: str) -> str:
        """Return the name under which a mailing's recipients stand in the ledger.

        A mailing that did not come to its end goes on; one that did, and is submitted again under
        the same id after its retention, begins anew.
        """
        now = to_micros(datetime.now(UTC))
        row = {"key": key, "generation": 1, "finished_by": None, "updated_at": now}
        insert = self.database.insert(mailing_run).values(row).on_conflict_do_nothing()
        begin_anew = (
            update(mailing_run)
            .where(
                mailing_run.c.key == key,
                mailing_run.c.finished_by.is_not(None),
                mailing_run.c.finished_by != run_id,
            )
            .values(generation=mailing_run.c.generation + 1, finished_by=None, updated_at=now)
        )
        current = select(mailing_run.c.generation).where(mailing_run.c.key == key)
        async with self.database.begin() as connection:
            await connection.execute(insert)
            await connection.execute(begin_anew)
            generation = (await connection.execute(current)).scalar_one()
        return f"{key}-{generation}"

    async def finish(self, mailing: str, run_id: str) -> None:
        """Close a mailing: everyone on its list has an outcome."""
        key = mailing.rpartition("-")[0]
        statement = update(mailing_run).where(mailing_run.c.key == key).values(finished_by=run_id)
        async with self.database.begin() as connection:
            await connection.execute(statement)

    @asynccontextmanager
    async def book(self, mailing: str, *, together: int = 1) -> AsyncIterator[MailingBook]:
        """Open the ledger of a mailing; what was settled is written when the body ends.

        Args:
            mailing: Which.
            together: How many mails are sent side by side.
        """
        book = MailingBook(self.database, mailing, together=together)
        keeper = asyncio.create_task(book.keep())
        try:
            yield book
        finally:
            book.close()
            while not keeper.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({keeper})
        keeper.result()
        await self._forget_pages()

    async def _forget_pages(self) -> None:
        """Empty SQLite's cache, which is large for imports: no chunk comes back to another's rows.

        Else a worker would grow with the list, by the whole 32 MB.
        """
        if self.database.dialect == "sqlite":
            async with self.database.write() as connection:
                await connection.exec_driver_sql("PRAGMA shrink_memory")

    async def known(
        self, mailing: str, hashes: Sequence[str], list_name: str
    ) -> tuple[Mapping[str, MailingEntry], set[str]]:
        """Return what stands of these recipients, and who of them is suppressed."""
        now = to_micros(datetime.now(UTC))
        entries = select(mailing_recipient).where(
            mailing_recipient.c.mailing == mailing,
            mailing_recipient.c.address_hash.in_(hashes),
        )
        suppressed = select(email_suppression.c.address_hash).where(
            email_suppression.c.address_hash.in_(hashes),
            email_suppression.c.scope.in_([EVERYWHERE, list_name]),
            or_(email_suppression.c.expires_at.is_(None), email_suppression.c.expires_at > now),
        )
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(entries)).all()
            blocked = (await connection.execute(suppressed)).scalars().all()
        return {row.address_hash: _entry(row) for row in rows}, set(blocked)

    async def note(self, mailing: str, entries: Sequence[MailingEntry]) -> None:
        """Record outcomes of recipients to whom nothing is sent; repeating it changes nothing."""
        if not entries:
            return
        now = to_micros(datetime.now(UTC))
        book = MailingBook(self.database, mailing)
        statement = self.database.insert(mailing_recipient).on_conflict_do_nothing()
        async with self.database.begin() as connection:
            await connection.execute(statement, [book.row(entry, now) for entry in entries])

    async def bounced(self, address_hash: str, source: str) -> None:
        """Send nothing more to an address that does not exist."""
        row = {
            "address_hash": address_hash,
            "scope": EVERYWHERE,
            "reason": SuppressionReason.HARD_BOUNCE.value,
            "source": source,
            "created_at": to_micros(datetime.now(UTC)),
        }
        statement = self.database.insert(email_suppression).values(row).on_conflict_do_nothing()
        async with self.database.begin() as connection:
            await connection.execute(statement)

    async def outcomes(self, mailing: str, position: int, count: int) -> Mapping[int, MailingEntry]:
        """Return a stretch of the ledger by position."""
        statement = select(mailing_recipient).where(
            mailing_recipient.c.mailing == mailing,
            mailing_recipient.c.position >= position,
            mailing_recipient.c.position < position + count,
        )
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.position: _entry(row) for row in rows}

    async def counts(self, mailing: str) -> Mapping[Outcome, int]:
        """Return how many recipients have which outcome."""
        statement = (
            select(mailing_recipient.c.outcome, func.count())
            .where(mailing_recipient.c.mailing == mailing)
            .group_by(mailing_recipient.c.outcome)
        )
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(statement)).all()
        return {Outcome(outcome): count for outcome, count in rows}


def _entry(row: Row[Any]) -> MailingEntry:
    return MailingEntry(
        address_hash=row.address_hash,
        position=row.position,
        outcome=Outcome(row.outcome),
        claims=row.claims,
        smtp_code=row.smtp_code,
        smtp_text=row.smtp_text,
    )

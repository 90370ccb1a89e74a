"""Claims and outcomes of mails that are sent side by side, in one transaction together.

While one transaction is being committed, what comes in is kept for the next. Without this, two
commits per mail would cost more than sending it.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Integer, and_, bindparam, literal_column, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database, Insert
from adapters.database.mailings.tables import mailing_recipient
from adapters.database.metadata import to_micros
from jobs.errors import TransientError
from jobs.mailings import MailingEntry

GATHER_S: Final = 0.004
"""Longest that a claim waits for others; some mails' time on the wire."""
PATIENCE: Final = 10
RETRY_INTERVAL_S: Final = 1.0
"""Outcomes are written again so often, and so far apart, while the database is away."""

_UPDATE: Final = (
    update(mailing_recipient)
    .where(
        mailing_recipient.c.mailing == bindparam("the_mailing"),
        mailing_recipient.c.address_hash == bindparam("the_hash"),
        mailing_recipient.c.claims == bindparam("the_claims"),
    )
    .values(
        outcome=bindparam("outcome"),
        smtp_code=bindparam("smtp_code"),
        smtp_text=bindparam("smtp_text"),
        updated_at=bindparam("updated_at"),
    )
)


def claiming(insert: Insert) -> Any:
    """Return the statement that claims a recipient if it stands as it was seen."""
    changed = ("outcome", "claims", "smtp_code", "smtp_text", "updated_at")
    return insert.on_conflict_do_update(
        index_elements=[mailing_recipient.c.mailing, mailing_recipient.c.address_hash],
        set_={name: insert.excluded[name] for name in changed},
        where=and_(
            mailing_recipient.c.claims == insert.excluded.claims - literal_column("1", Integer),
            mailing_recipient.c.position == insert.excluded.position,
        ),
    ).returning(mailing_recipient.c.address_hash)


_NAMED: Final = sqlite.dialect(paramstyle="named")
_SQLITE_UPDATE: Final = str(_UPDATE.compile(dialect=_NAMED))
_SQLITE_CLAIM: Final = str(claiming(sqlite.insert(mailing_recipient)).compile(dialect=_NAMED))


def _commit_at_once(
    claims: Sequence[dict[str, Any]],
    outcomes: Sequence[dict[str, Any]],
    driver: sqlite3.Connection,
) -> set[str]:
    """Write in a transaction of its own, in one visit to SQLite's thread.

    Each visit more would wait for the loop, and SQLAlchemy's transaction costs as much CPU as ours.
    """
    driver.execute("BEGIN IMMEDIATE")
    try:
        driver.executemany(_SQLITE_UPDATE, outcomes)
        won = {row[0] for claim in claims for row in driver.execute(_SQLITE_CLAIM, claim)}
        driver.execute("COMMIT")
    except sqlite3.Error:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise
    return won


async def _visit(
    connection: AsyncConnection,
    claims: Sequence[dict[str, Any]],
    outcomes: Sequence[dict[str, Any]],
) -> set[str]:
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    try:
        won: set[str] = await driver.run(partial(_commit_at_once, claims, outcomes))
    except sqlite3.Error as error:
        raise DBAPIError(None, None, error) from None
    return won


class MailingBook:
    """The ledger of one mailing while a chunk of it is sent."""

    def __init__(self, database: Database, mailing: str, *, together: int = 1) -> None:
        """Prepare; ``keep`` does the writing.

        Args:
            database: Where.
            mailing: Which.
            together: So many claims are waited for, for a moment, to be committed together.
        """
        self._database = database
        self._mailing = mailing
        self._claims: list[tuple[MailingEntry, asyncio.Future[bool]]] = []
        self._outcomes: list[MailingEntry] = []
        self._work = asyncio.Event()
        self._together = together
        self._full = asyncio.Event()
        self._closing = False
        self._broken: Exception | None = None
        self._failures = 0
        self._claim = claiming(database.insert(mailing_recipient))

    async def claim(self, entry: MailingEntry) -> bool:
        """Claim a recipient; False if someone else did. ``entry.claims`` is one more than seen.

        Raises:
            TransientError: the database failed; this book takes no further claims.
        """
        if self._broken is not None:
            raise self._broken
        won: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._claims.append((entry, won))
        self._work.set()
        if len(self._claims) >= self._together:
            self._full.set()
        return await won

    def settle(self, entry: MailingEntry) -> None:
        """Record an outcome with the next commit."""
        self._outcomes.append(entry)
        self._work.set()

    async def keep(self) -> None:
        """Commit what comes in, until closed; then commit the rest.

        Outcomes outlive a failure of the database for a while, since each that is lost makes the
        fate of a mail unknown; claims don't.
        """
        while not self._closing or self._claims or self._outcomes:
            await self._work.wait()
            await self._gather()
            self._work.clear()
            claims, self._claims = self._claims, []
            outcomes, self._outcomes = self._outcomes, []
            try:
                won = await self._commit([entry for entry, _ in claims], outcomes)
            except Exception as error:  # whatever it is, nobody may wait for it for ever
                self._broken = error
                self._failures += 1
                for _, waiting in claims:
                    if not waiting.done():
                        waiting.set_exception(error)
                if not isinstance(error, TransientError) or self._failures > PATIENCE:
                    raise
                self._outcomes = [*outcomes, *self._outcomes]
                await asyncio.sleep(RETRY_INTERVAL_S)
                self._work.set()
            else:
                for entry, waiting in claims:
                    if not waiting.done():
                        waiting.set_result(entry.address_hash in won)

    async def _gather(self) -> None:
        """Wait a moment for the claims of those that send side by side."""
        self._full.clear()
        if not self._closing and len(self._claims) < self._together:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._full.wait()

    def close(self) -> None:
        """Let ``keep`` end once all is written."""
        self._closing = True
        self._full.set()
        self._work.set()

    async def _commit(
        self, claims: Sequence[MailingEntry], outcomes: Sequence[MailingEntry]
    ) -> set[str]:
        now = to_micros(datetime.now(UTC))
        claim_rows = [self.row(entry, now) for entry in claims]
        outcome_rows = [self._outcome_row(entry, now) for entry in outcomes]
        if self._database.dialect == "sqlite":
            async with self._database.write() as connection:
                return await _visit(connection, claim_rows, outcome_rows)
        async with self._database.begin() as connection:
            if outcome_rows:
                await connection.execute(_UPDATE, outcome_rows)
            if not claim_rows:
                return set()
            result = await connection.execute(self._claim, claim_rows)
            return {row[0] for row in result}

    def row(self, entry: MailingEntry, now: int) -> dict[str, Any]:
        """Return a recipient's row."""
        return {
            "mailing": self._mailing,
            "address_hash": entry.address_hash,
            "position": entry.position,
            "outcome": entry.outcome.value,
            "claims": entry.claims,
            "smtp_code": entry.smtp_code,
            "smtp_text": entry.smtp_text,
            "updated_at": now,
        }

    def _outcome_row(self, entry: MailingEntry, now: int) -> dict[str, Any]:
        return {
            "the_mailing": self._mailing,
            "the_hash": entry.address_hash,
            "the_claims": entry.claims,
            "outcome": entry.outcome.value,
            "smtp_code": entry.smtp_code,
            "smtp_text": entry.smtp_text,
            "updated_at": now,
        }

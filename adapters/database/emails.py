"""The ledger of sent mails, and suppressed addresses.

No address stands here, only its keyed hash. A row of the ledger changes hands by compare-and-set on
the number of its claims, so that of two attempts one sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, metadata, to_micros
from jobs.emails import LedgerEntry, SendState, Standing, SuppressionReason

email_send: Final = Table(
    "email_send",
    metadata,
    Column("key", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("smtp_code", Integer),
    Column("smtp_text", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_email_send_address_hash", "address_hash"),
    Index("ix_email_send_updated_at", "updated_at"),
)

email_suppression: Final = Table(
    "email_suppression",
    metadata,
    Column("address_hash", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

EVERYWHERE: Final = "*"
"""Scope of a suppression that holds for all lists and all mail."""

_ALWAYS: Final = select(literal(1)).subquery()
_STANDING: Final = select(
    email_send, email_suppression.c.scope, email_suppression.c.reason
).select_from(
    _ALWAYS.outerjoin(email_send, email_send.c.key == bindparam("the_key")).outerjoin(
        email_suppression,
        and_(
            email_suppression.c.address_hash == bindparam("the_hash"),
            or_(
                email_suppression.c.expires_at.is_(None),
                email_suppression.c.expires_at > bindparam("now"),
            ),
        ),
    )
)
"""Entry and suppressions in one statement: each costs a visit to the database."""
_TAKE_OVER: Final = (
    update(email_send)
    .where(email_send.c.key == bindparam("the_key"), email_send.c.claims == bindparam("seen"))
    .values(
        run_id=bindparam("run_id"),
        message_id=bindparam("message_id"),
        state=SendState.SENDING.value,
        claims=email_send.c.claims + 1,
        updated_at=bindparam("updated_at"),
    )
)
_SETTLE: Final = (
    update(email_send)
    .where(email_send.c.key == bindparam("the_key"), email_send.c.claims == bindparam("seen"))
    .values(
        state=bindparam("state"),
        smtp_code=bindparam("smtp_code"),
        smtp_text=bindparam("smtp_text"),
        error=bindparam("error"),
        updated_at=bindparam("updated_at"),
    )
)


@dataclass(frozen=True, slots=True)
class EmailLedger:
    """What was sent, and to whom nothing is sent."""

    database: Database

    async def look(self, key: str, address_hash: str, list_name: str | None) -> Standing:
        """Return how a message stands, and why its address is suppressed, if it is.

        Args:
            key: Of the message.
            address_hash: Of its recipient.
            list_name: The list of a bulk mail, whose unsubscriptions count; None for others.
        """
        now = to_micros(datetime.now(UTC))
        values = {"the_key": key, "the_hash": address_hash, "now": now}
        async with self.database.read() as connection:
            rows = (await connection.execute(_STANDING, values)).all()
        return Standing(
            entry=_entry(rows[0]) if rows[0].key is not None else None,
            suppressed=_reason([row for row in rows if row.scope is not None], list_name),
        )

    async def claim(
        self,
        fresh: LedgerEntry,
        *,
        address_hash: str,
        template: str,
        seen: LedgerEntry | None,
    ) -> LedgerEntry | None:
        """Claim a message for sending; return its entry, or None if another was faster.

        Args:
            fresh: Whose claim it is: ``key``, ``run_id``, ``message_id``.
            address_hash: Of its recipient.
            template: Its template.
            seen: The entry that ``look`` returned.
        """
        now = datetime.now(UTC)
        claims = (seen.claims if seen else 0) + 1
        claimed = replace(fresh, state=SendState.SENDING, claims=claims, updated_at=now)
        if seen is None:
            statement: Any = self.database.insert(email_send).on_conflict_do_nothing()
            values = _row(claimed, address_hash, template)
        else:
            statement = _TAKE_OVER
            values = {
                "the_key": claimed.key,
                "seen": seen.claims,
                "run_id": claimed.run_id,
                "message_id": claimed.message_id,
                "updated_at": to_micros(now),
            }
        async with self.database.write() as connection:
            result = await connection.execute(statement, values)
        return claimed if result.rowcount == 1 else None

    async def settle(self, entry: LedgerEntry, *, suppress: str | None = None) -> None:
        """Record what came of a claim, unless a later claim has taken the message over.

        Args:
            entry: The claimed entry with its new state.
            suppress: Hash of an address that turned out not to exist.
        """
        now = datetime.now(UTC)
        values = {
            "the_key": entry.key,
            "seen": entry.claims,
            "state": entry.state.value,
            "smtp_code": entry.smtp_code,
            "smtp_text": entry.smtp_text,
            "error": entry.error,
            "updated_at": to_micros(now),
        }
        if suppress is None:
            async with self.database.write() as connection:
                await connection.execute(_SETTLE, values)
            return
        async with self.database.begin() as connection:
            await connection.execute(_SETTLE, values)
            await self._suppress_bounced(connection, suppress, entry)

    async def note(
        self,
        entry: LedgerEntry,
        *,
        address_hash: str,
        template: str,
        suppress: str | None = None,
    ) -> None:
        """Record the refusal of a message that was never claimed: nothing of it went out."""
        row = _row(entry, address_hash, template)
        insert = self.database.insert(email_send)
        changed = {name: row[name] for name in row if name != "key"}
        statement = insert.on_conflict_do_update(
            index_elements=[email_send.c.key],
            set_=changed,
            where=email_send.c.claims == entry.claims,
        )
        async with self.database.begin() as connection:
            await connection.execute(statement, row)
            await self._suppress_bounced(connection, suppress, entry)

    async def refusals(self, address_hash: str, error: str, within: timedelta) -> int:
        """Return how many messages to an address were refused with ``error`` of late."""
        since = to_micros(datetime.now(UTC) - within)
        statement = select(func.count()).where(
            email_send.c.address_hash == address_hash,
            email_send.c.error == error,
            email_send.c.updated_at >= since,
        )
        async with self.database.snapshot() as connection:
            return (await connection.execute(statement)).scalar_one()

    async def suppress(
        self,
        address_hash: str,
        reason: SuppressionReason,
        *,
        scope: str = EVERYWHERE,
        source: str = "",
        expires_at: datetime | None = None,
    ) -> None:
        """Send nothing more to an address; repeating it changes nothing.

        Args:
            address_hash: Of the address.
            reason: Why; an unsubscription stops bulk mail only.
            scope: A list's name, or ``*`` for all mail.
            source: Where it was learned, such as a job's id.
            expires_at: When it ends, if it does.
        """
        row = _suppression_row(address_hash, scope, reason, source, expires_at)
        async with self.database.begin() as connection:
            await connection.execute(self._suppression(), row)

    async def unsuppress(self, address_hash: str, scope: str | None = None) -> bool:
        """Write to an address again; return whether it was suppressed."""
        statement = email_suppression.delete().where(
            email_suppression.c.address_hash == address_hash
        )
        if scope is not None:
            statement = statement.where(email_suppression.c.scope == scope)
        async with self.database.begin() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def _suppress_bounced(
        self, connection: AsyncConnection, address_hash: str | None, entry: LedgerEntry
    ) -> None:
        if address_hash is not None:
            reason = SuppressionReason.HARD_BOUNCE
            row = _suppression_row(address_hash, EVERYWHERE, reason, entry.message_id)
            await connection.execute(self._suppression(), row)

    def _suppression(self) -> Any:
        return self.database.insert(email_suppression).on_conflict_do_nothing()


def _reason(rows: Sequence[Row[Any, Any]], list_name: str | None) -> SuppressionReason | None:
    for row in rows:
        reason = SuppressionReason(row.reason)
        if row.scope not in {EVERYWHERE, list_name}:
            continue
        if reason is SuppressionReason.UNSUBSCRIBE and list_name is None:
            continue
        return reason
    return None


def _entry(row: Row[Any]) -> LedgerEntry:
    return LedgerEntry(
        key=row.key,
        run_id=row.run_id,
        message_id=row.message_id,
        state=SendState(row.state),
        claims=row.claims,
        smtp_code=row.smtp_code,
        smtp_text=row.smtp_text,
        error=row.error,
        updated_at=from_micros(row.updated_at),
    )


def _row(entry: LedgerEntry, address_hash: str, template: str) -> dict[str, Any]:
    return {
        "key": entry.key,
        "run_id": entry.run_id,
        "message_id": entry.message_id,
        "address_hash": address_hash,
        "template": template,
        "state": entry.state.value,
        "claims": entry.claims,
        "smtp_code": entry.smtp_code,
        "smtp_text": entry.smtp_text,
        "error": entry.error,
        "updated_at": to_micros(entry.updated_at),
    }


def _suppression_row(
    address_hash: str,
    scope: str,
    reason: SuppressionReason,
    source: str,
    expires_at: datetime | None = None,
) -> dict[str, Any]:
    return {
        "address_hash": address_hash,
        "scope": scope,
        "reason": reason.value,
        "source": source,
        "created_at": to_micros(datetime.now(UTC)),
        "expires_at": to_micros(expires_at) if expires_at else None,
    }

"""Password resets: what is kept of each link is the hash of its token."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table, Text, func, select, update

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, metadata, to_micros
from jobs.emails import ResetStanding

password_reset: Final = Table(
    "password_reset",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("superseded_at", BigInteger),
    Index("ix_password_reset_subject", "subject"),
)


@dataclass(frozen=True, slots=True)
class PasswordResets:
    """Requests to reset a password: the hash of each link's token, and whether it still works."""

    database: Database

    async def prepare(
        self, *, request_id: str, subject: str, token_hash: str, expires_at: datetime
    ) -> ResetStanding:
        """Make a link valid and older links of the same person void; return how it stands.

        Repeating it changes nothing: the first call's expiry stays, and a used link stays used.

        Args:
            request_id: Of the request.
            subject: Whose password: a user id, or the hash of an address.
            token_hash: SHA-256 of the link's token.
            expires_at: When the link ends.
        """
        now = to_micros(datetime.now(UTC))
        table = password_reset
        insert = self.database.insert(table).on_conflict_do_nothing()
        row = {
            "request_id": request_id,
            "subject": subject,
            "token_hash": token_hash,
            "created_at": now,
            "expires_at": to_micros(expires_at),
        }
        mine = select(table).where(table.c.request_id == request_id)
        newer = select(func.count()).where(
            table.c.subject == subject,
            table.c.request_id != request_id,
            table.c.expires_at > to_micros(expires_at),
        )
        async with self.database.begin() as connection:
            await connection.execute(insert, row)
            superseded = (await connection.execute(newer)).scalar_one() > 0
            await connection.execute(
                update(table)
                .where(
                    table.c.subject == subject,
                    table.c.superseded_at.is_(None),
                    table.c.request_id == request_id
                    if superseded
                    else (table.c.request_id != request_id),
                )
                .values(superseded_at=now)
            )
            stored = (await connection.execute(mine)).one()
        return ResetStanding(
            usable=stored.used_at is None and stored.superseded_at is None,
            expires_at=from_micros(stored.expires_at),
        )

    async def redeem(self, token_hash: str) -> str | None:
        """Use a link up; return whose password may be set, or None if the link does not work."""
        now = to_micros(datetime.now(UTC))
        table = password_reset
        statement = (
            update(table)
            .where(
                table.c.token_hash == token_hash,
                table.c.used_at.is_(None),
                table.c.superseded_at.is_(None),
                table.c.expires_at > now,
            )
            .values(used_at=now)
            .returning(table.c.subject)
        )
        async with self.database.begin() as connection:
            subject: str | None = (await connection.execute(statement)).scalar_one_or_none()
        return subject

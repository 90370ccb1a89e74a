"""Rows that jobs leave in ledgers, and deleting the old ones a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Table, delete, func, select, tuple_

from adapters.database.batches.tables import batch_item, batch_run
from adapters.database.emails import email_send
from adapters.database.engine import Database
from adapters.database.mailings.tables import mailing_recipient, mailing_run
from adapters.database.metadata import to_micros
from adapters.database.password_resets import password_reset
from adapters.database.transfers.tables import imports

DATED: Final[Sequence[tuple[Table, Column[Any]]]] = (
    (email_send, email_send.c.updated_at),
    (mailing_recipient, mailing_recipient.c.updated_at),
    (mailing_run, mailing_run.c.updated_at),
    (batch_item, batch_item.c.updated_at),
    (batch_run, batch_run.c.updated_at),
    (password_reset, password_reset.c.expires_at),
    (imports, imports.c.begun_at),  # its chunks and rejects go with it
)
"""Each ledger, and when a row of it was last of use."""


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The ledgers of all kinds, by age."""

    database: Database

    async def count(self, before: datetime) -> int:
        """Return how many rows are older."""
        instant = to_micros(before)
        async with self.database.snapshot() as connection:
            counts = [
                await connection.execute(
                    select(func.count()).select_from(table).where(moment < instant)
                )
                for table, moment in DATED
            ]
        return sum(int(counted.scalar_one()) for counted in counts)

    async def prune(self, before: datetime, at_most: int) -> int:
        """Delete up to ``at_most`` older rows of each ledger, and return how many went."""
        instant, gone = to_micros(before), 0
        for table, moment in DATED:
            key = tuple(table.primary_key.columns)
            some = select(*key).where(moment < instant).limit(at_most)
            async with self.database.begin() as connection:
                deleted = await connection.execute(delete(table).where(tuple_(*key).in_(some)))
            gone += deleted.rowcount
        return gone

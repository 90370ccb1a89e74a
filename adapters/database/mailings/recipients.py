"""Lists of recipients that the database makes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from adapters.database.engine import Database
from adapters.database.users import users
from jobs.mailings import Address

PAGE: Final = 5000


@dataclass(frozen=True, slots=True)
class Recipients:
    """Lists and addresses from the directory of users."""

    database: Database

    async def all_users(self) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of everyone, in pages."""
        last = ""
        while True:
            page = select(users.c.id).where(users.c.id > last).order_by(users.c.id).limit(PAGE)
            async with self.database.snapshot() as connection:
                found = (await connection.execute(page)).scalars().all()
            if not found:
                return
            yield found
            last = found[-1]

    async def addresses(self, user_ids: Sequence[str]) -> Mapping[str, Address]:
        """Return where these users can be written to, those that there are."""
        if not user_ids:
            return {}
        statement = select(users.c.id, users.c.email, users.c.name, users.c.locale).where(
            users.c.id.in_(user_ids)
        )
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.id: Address(row.email, row.name, row.locale) for row in rows}

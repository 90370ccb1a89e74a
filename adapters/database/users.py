"""The directory of users, to whom mails can be sent by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text, select

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, metadata, to_micros
from jobs.users import User

users: Final = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Users:
    """The users in the application database."""

    database: Database

    async def find(self, user_id: str) -> User | None:
        """Return the user of that id, or None."""
        async with self.database.snapshot() as connection:
            row = (await connection.execute(select(users).where(users.c.id == user_id))).first()
        if row is None:
            return None
        return User.model_validate({**row._mapping, "created_at": from_micros(row.created_at)})

    async def put(self, entries: Sequence[User]) -> None:
        """Insert or overwrite ``entries`` by id; repeating it changes nothing."""
        if not entries:
            return
        insert = self.database.insert(users)
        upsert = insert.on_conflict_do_update(
            index_elements=[users.c.id],
            set_={
                column.name: insert.excluded[column.name]
                for column in users.c
                if column.name not in {"id", "created_at"}
            },
        )
        rows = [{**user.model_dump(), "created_at": to_micros(user.created_at)} for user in entries]
        async with self.database.begin() as connection:
            await connection.execute(upsert, rows)


DEMO: Final = tuple(
    User(
        id=user_id,
        email=f"{user_id}@example.com",
        name=name,
        locale=locale,
        time_zone=time_zone,
        created_at=datetime(2026, 1, day, 9, tzinfo=UTC),
    )
    for day, (user_id, name, locale, time_zone) in enumerate(
        (
            ("ada", "Ada Lovelace", "en-GB", "Europe/London"),
            ("grace", "Grace Hopper", "en-US", "America/New_York"),
            ("alan", "Alan Turing", "en-GB", "Europe/London"),
            ("katherine", "Katherine Johnson", "en-US", "America/New_York"),
            ("emmy", "Emmy Noether", "de-DE", "Europe/Berlin"),
            ("hedy", "Hedy Lamarr", "de-AT", "Europe/Vienna"),
            ("sophie", "Sophie Germain", "fr-FR", "Europe/Paris"),
            ("radia", "Radia Perlman", "en-US", "America/Los_Angeles"),
            ("srinivasa", "Srinivasa Ramanujan", "en-IN", "Asia/Kolkata"),
            ("maryam", "Maryam Mirzakhani", "fa-IR", "Asia/Tehran"),
        ),
        start=1,
    )
)
"""Users of the demo; example.com takes no mail."""


async def load_demo(database: Database) -> int:
    """Put the demo users into ``database``, again if they are there, and return their number."""
    await Users(database).put(DEMO)
    return len(DEMO)

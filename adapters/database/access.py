"""API keys; of each only its hash is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Row, Table, Text, or_, select, update

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, metadata, to_micros
from jobs.access import ApiKey, Scope

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

USE_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys in the application database."""

    database: Database

    async def add(self, key: ApiKey, key_hash: str) -> None:
        """Record a new key."""
        row = {
            "id": key.id,
            "hash": key_hash,
            "owner": key.owner,
            "scopes": " ".join(key.scopes),
            "label": key.label,
            "created_at": to_micros(key.created_at),
            "expires_at": to_micros(key.expires_at) if key.expires_at else None,
        }
        async with self.database.begin() as connection:
            await connection.execute(self.database.insert(api_keys).values(row))

    async def find(self, key_id: str) -> tuple[ApiKey, str] | None:
        """Return a key and its hash; also one that is revoked or has expired."""
        query = select(api_keys).where(api_keys.c.id == key_id)
        async with self.database.snapshot() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (_as_key(row), row.hash)

    async def list(self, owner: str | None = None) -> Sequence[ApiKey]:
        """Return the keys, newest first."""
        query = select(api_keys).order_by(api_keys.c.created_at.desc())
        if owner is not None:
            query = query.where(api_keys.c.owner == owner)
        async with self.database.snapshot() as connection:
            return [_as_key(row) for row in await connection.execute(query)]

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """End a key for good; False if there is none, True also if it was revoked before."""
        statement = update(api_keys).where(api_keys.c.id == key_id)
        first = statement.where(api_keys.c.revoked_at.is_(None)).values(revoked_at=to_micros(now))
        async with self.database.begin() as connection:
            if (await connection.execute(first)).rowcount:
                return True
            known = select(api_keys.c.id).where(api_keys.c.id == key_id)
            return (await connection.execute(known)).first() is not None

    async def note_use(self, key_id: str, now: datetime) -> None:
        """Record that a key was used; writes at most once a minute."""
        last = api_keys.c.last_used_at
        old = or_(last.is_(None), last <= to_micros(now - USE_NOTED_EVERY))
        statement = update(api_keys).where(api_keys.c.id == key_id, old)
        async with self.database.begin() as connection:
            await connection.execute(statement.values(last_used_at=to_micros(now)))


def _as_key(row: Row[Any]) -> ApiKey:
    instants = {
        name: None if row._mapping[name] is None else from_micros(row._mapping[name])
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
    }
    return ApiKey.model_validate(
        {
            "id": row.id,
            "owner": row.owner,
            "scopes": [Scope(scope) for scope in row.scopes.split()],
            "label": row.label,
            **instants,
        }
    )

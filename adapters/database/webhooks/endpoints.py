"""The registry of endpoints; their keys and headers are sealed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, to_micros
from adapters.database.webhooks.tables import endpoints
from adapters.sealing import SecretBox
from jobs.endpoints import (
    Endpoint,
    EndpointHealth,
    EndpointOptions,
    EndpointState,
    NewEndpoint,
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints in the application database.

    Args:
        database: Open.
        box: Seals keys and headers.
    """

    database: Database
    box: SecretBox

    async def add(
        self, endpoint_id: str, owner: str, new: NewEndpoint, key: str, now: datetime
    ) -> Endpoint:
        """Register an endpoint and return it."""
        options = EndpointOptions.model_validate(new.model_dump())
        headers = self.box.seal(json.dumps(new.headers), endpoint_id) if new.headers else None
        async with self.database.begin() as connection:
            await connection.execute(
                endpoints.insert().values(
                    id=endpoint_id,
                    owner=owner,
                    url=new.url,
                    state=EndpointState.ACTIVE,
                    options=options.model_dump_json(),
                    health=EndpointHealth().model_dump_json(),
                    header_names=json.dumps(sorted(new.headers)),
                    sealed_headers=headers,
                    sealed_key=self.box.seal(key, endpoint_id),
                    created_at=to_micros(now),
                )
            )
            return read_endpoint(await fetch_endpoint(connection, endpoint_id))

    async def count(self, owner: str) -> int:
        """Return how many endpoints ``owner`` has."""
        query = select(func.count()).where(endpoints.c.owner == owner)
        async with self.database.snapshot() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def find(self, owner: str, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint of ``owner``'s."""
        query = select(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.owner == owner)
        async with self.database.snapshot() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else read_endpoint(row)

    async def of_owner(self, owner: str) -> Sequence[Endpoint]:
        """Return the endpoints of ``owner``, oldest first."""
        query = (
            select(endpoints)
            .where(endpoints.c.owner == owner)
            .order_by(endpoints.c.created_at, endpoints.c.id)
        )
        async with self.database.snapshot() as connection:
            return [read_endpoint(row) for row in await connection.execute(query)]

    async def set_state(self, endpoint_id: str, state: EndpointState, reason: str | None) -> None:
        """Pause, disable or enable; enabling forgets the failures."""
        values: dict[str, Any] = {"state": state, "disabled_reason": reason}
        if state is EndpointState.ACTIVE:
            values["health"] = EndpointHealth().model_dump_json()
        change = update(endpoints).where(endpoints.c.id == endpoint_id).values(values)
        async with self.database.begin() as connection:
            await connection.execute(change)

    async def set_options(self, endpoint_id: str, options: EndpointOptions) -> None:
        """Replace an endpoint's options."""
        change = update(endpoints).where(endpoints.c.id == endpoint_id)
        async with self.database.begin() as connection:
            await connection.execute(change.values(options=options.model_dump_json()))

    async def rotate(self, endpoint_id: str, key: str, previous_until: datetime) -> None:
        """Sign with ``key``, and with the present key too until ``previous_until``."""
        change = (
            update(endpoints)
            .where(endpoints.c.id == endpoint_id)
            .values(
                sealed_previous_key=endpoints.c.sealed_key,
                previous_key_until=to_micros(previous_until),
                sealed_key=self.box.seal(key, endpoint_id),
            )
        )
        async with self.database.begin() as connection:
            await connection.execute(change)

    async def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint; its open deliveries end as ``endpoint_disabled``."""
        async with self.database.begin() as connection:
            await connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))


async def fetch_endpoint(
    connection: AsyncConnection, endpoint_id: str, *, lock: bool = False
) -> Row[Any] | None:
    """Return an endpoint's row; with ``lock``, others wait until the transaction ends."""
    query = select(endpoints).where(endpoints.c.id == endpoint_id)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


def read_endpoint(row: Row[Any] | None) -> Endpoint:
    """Return a row as its owner sees it."""
    assert row is not None  # noqa: S101 (the caller has just written it)
    until = row.previous_key_until
    return Endpoint.model_validate(
        {
            **json.loads(row.options),
            "id": row.id,
            "owner": row.owner,
            "url": row.url,
            "header_names": json.loads(row.header_names),
            "state": row.state,
            "disabled_reason": row.disabled_reason,
            "health": EndpointHealth.model_validate_json(row.health),
            "previous_key_until": None if until is None else from_micros(until),
            "created_at": from_micros(row.created_at),
        }
    )

"""Imports whose worker is killed at random moments, or frozen and thawed: each row once."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from adapters.database import Database, migrate
from adapters.database.shop import orders
from adapters.database.transfers import Imports, import_chunks
from adapters.storage import Storage
from jobs.imports import ImportData, ImportPosition
from tests.faults.importing import SUPERSEDED, Attempt
from tests.transfers import Importing

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("FAULT_ROWS", "250000"))
KILLS = 20
CHUNKS_PER_KILL = 0.4
LONGEST_MOMENT_S = 0.08
"""About what a chunk takes, so that a kill may fall anywhere in it."""
SEED = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))  # noqa: S311 - no secret
HEADER = "id,customer_id,product_id,ordered_at,status,currency,country,channel,amount,quantity\n"


def write_orders(path: Path, rows: int) -> None:
    """Write an orders file with quoted line ends, emoji and 2 % bad rows."""
    chosen = random.Random(7)  # noqa: S311 - no secret
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        for number in range(rows):
            channel = "WEB" if number % 50 == 49 else "web"
            product = '"P\n🙂"' if number % 97 == 96 else f"P-{number % 500}"
            file.write(
                f"O-{number:08d},C-{chosen.randrange(5000)},{product},"
                f"2026-{chosen.randrange(1, 13):02d}-01T09:00:00Z,paid,EUR,DE,{channel},"
                f"{chosen.randrange(1000)}.{chosen.randrange(100):02d},{number % 9 + 1}\n"
            )


class Place:
    """A database and a store that several processes use."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.storage_url = f"file://{folder / 'objects'}"
        self.database = Database.open(database_url)

    async def begin(self, job_id: str, *, most: int = sys.maxsize) -> Attempt:
        """Start a process that loads the file, ``most`` chunks of it."""
        attempt = Attempt(self.database_url, self.storage_url, job_id, most)
        await asyncio.to_thread(attempt.begin)
        return attempt

    async def table(self) -> tuple[int, int, int, int]:
        """Rows, distinct keys, and two sums that any change would change."""
        numbers = select(
            func.count(),
            func.count(orders.c.id.distinct()),
            func.sum(orders.c.amount_minor),
            func.sum(orders.c.ordered_at / 1_000_000 * orders.c.quantity),
        )
        async with self.database.snapshot() as connection:
            row = (await connection.execute(numbers)).one()
            return int(row[0]), int(row[1]), int(row[2] or 0), int(row[3] or 0)

    async def empty(self) -> None:
        """Delete every order."""
        async with self.database.begin() as connection:
            await connection.execute(orders.delete())

    async def position(self, job_id: str) -> ImportPosition:
        """How far an import is."""
        found = await Imports(self.database).position(job_id)
        assert found is not None
        return found

    async def undisturbed(self) -> tuple[int, int, int, int]:
        """Import in one go and return what the table then holds."""
        importing = Importing(self.database, Storage.open(self.storage_url))
        await importing.run(ImportData(source="orders.csv", target="orders", max_errors=1_000_000))
        held = await self.table()
        await self.empty()
        return held


@pytest.fixture
async def place(tmp_path: Path, database_url: str) -> AsyncIterator[Place]:
    place = Place(tmp_path, database_url)
    await migrate(database_url)
    await Storage.open(place.storage_url).put("orders.csv", b"")
    await asyncio.to_thread(write_orders, tmp_path / "objects" / "orders.csv", ROWS)
    yield place
    await place.database.close()


async def test_20_kills_at_any_moment_leave_each_row_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = await place.undisturbed()
    chosen = random.Random(SEED)  # noqa: S311 - no secret
    for _ in range(KILLS):
        in_second = chosen.random() < CHUNKS_PER_KILL
        attempt = await place.begin("import-killed", most=1 + in_second)
        if in_second:
            await asyncio.to_thread(attempt.wait_for_a_chunk)
        await asyncio.sleep(chosen.random() * LONGEST_MOMENT_S)
        attempt.kill()
    before = await place.position("import-killed")
    assert await asyncio.to_thread((await place.begin("import-killed")).end) == 0

    rows, distinct, *sums = await place.table()
    position = await place.position("import-killed")
    with capsys.disabled():
        sys.stdout.write(
            f"\nseed {SEED}, {KILLS} kills, the last after row {before.read:,}: "
            f"rows expected {expected[0]:,}, present {distinct:,}, "
            f"doubled {rows - distinct}, missing {expected[0] - distinct}\n"
        )
    assert 0 < before.read < ROWS
    assert (rows, distinct, *sums) == expected
    assert position.read == ROWS
    assert (position.inserted, position.updated, position.unchanged) == (rows, 0, 0)
    assert position.rejected == ROWS - rows
    rejects = [page async for page in Imports(place.database).rejects(position.import_id)]
    assert sum(map(len, rejects)) == position.rejected


async def test_a_frozen_worker_that_thaws_writes_no_chunk_twice(place: Place) -> None:
    expected = await place.undisturbed()
    zombie = await place.begin("import-frozen", most=2)
    await asyncio.to_thread(zombie.wait_until_frozen)
    successor = await place.begin("import-frozen")
    assert await asyncio.to_thread(successor.end) == 0
    assert await place.table() == expected

    # What the zombie would overwrite, had nobody told it.
    async with place.database.begin() as connection:
        await connection.execute(orders.update().values(channel="changed since"))
    zombie.thaw()
    assert await asyncio.to_thread(zombie.end) == SUPERSEDED
    async with place.database.snapshot() as connection:
        untouched = select(func.count()).where(orders.c.channel == "changed since")
        assert (await connection.execute(untouched)).scalar() == expected[0]
        chunks = select(func.sum(import_chunks.c.read))
        position = await place.position("import-frozen")
        total = await connection.execute(
            chunks.where(import_chunks.c.import_id == position.import_id)
        )
        assert total.scalar() == ROWS

"""The data that the demo and ``setup --demo`` work on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from adapters.database import Database, shop_demo, traffic, users
from adapters.storage import Storage
from jobs.images import IMAGE
from jobs.imports import IMPORT

ROOT: Final = Path(__file__).resolve().parents[2]


async def store_examples(storage: Storage) -> str:
    """Put files where the examples of kinds expect them; return what was done."""
    keys = [str(kind.example["source"]) for kind in (IMAGE, IMPORT)]
    for key in keys:
        await storage.put_file(key, ROOT / key)
    return f"examples in storage: {', '.join(keys)}"


async def load_demo_data(database: Database) -> str:
    """Load everything again, whatever is there; return what was loaded."""
    people = await users.load_demo(database)
    orders = await shop_demo.load_demo(database, datetime.now(UTC))
    departures = await traffic.load_demo(database)
    return f"demo data: {people} users, {orders:,} orders, {departures:,} departures"

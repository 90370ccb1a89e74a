"""The data that the demo and ``setup --demo`` work on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from adapters.database import Database, shop_demo, traffic, users
from adapters.storage import Storage
from jobs.images import IMAGE

ROOT: Final = Path(__file__).resolve().parents[2]


async def store_example_photo(storage: Storage) -> str:
    """Put the photo where ``kinds image --example`` expects it; return what was done."""
    key = str(IMAGE.example["source"])
    await storage.put_file(key, ROOT / key)
    return f"demo photo: {key} in storage"


async def load_demo_data(database: Database) -> str:
    """Load everything again, whatever is there; return what was loaded."""
    people = await users.load_demo(database)
    orders = await shop_demo.load_demo(database, datetime.now(UTC))
    departures = await traffic.load_demo(database)
    return f"demo data: {people} users, {orders:,} orders, {departures:,} departures"

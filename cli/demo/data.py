"""The data that the demo and ``setup --demo`` work on."""

from datetime import UTC, datetime

from adapters.database import Database, shop_demo, traffic, users


async def load_demo_data(database: Database) -> str:
    """Load everything again, whatever is there; return what was loaded."""
    people = await users.load_demo(database)
    orders = await shop_demo.load_demo(database, datetime.now(UTC))
    departures = await traffic.load_demo(database)
    return f"demo data: {people} users, {orders:,} orders, {departures:,} departures"

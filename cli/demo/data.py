"""The data that the demo and ``setup --demo`` work on."""

from adapters.database import Database, users


async def load_demo_data(database: Database) -> str:
    """Load everything again, whatever is there; return what was loaded."""
    return f"demo data: {await users.load_demo(database)} users"

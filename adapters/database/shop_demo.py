"""Orders of an invented shop, for demo and tests.

Each day's orders come from a generator seeded with that day alone, so loading again, or up to a
later day, writes the same rows. Money is in euros, with a few orders in dollars to show that
currencies are never added up.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from sqlalchemy import Table

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.shop import customers, orders, products

FIRST_DAY: Final = date(2025, 1, 1)
OPENED: Final = date(2024, 7, 1)
"""When the first customer joined."""
GROWTH_DAYS: Final = 900
CUSTOMERS: Final = 1_500
CHUNK: Final = 2_000
COUNTRIES: Final = {"DE": 38, "FR": 17, "AT": 11, "NL": 10, "IT": 9, "ES": 8, "US": 7}
CHANNELS: Final = {"web": 54, "mobile app": 31, "marketplace": 11, "phone": 4}
STATUSES: Final = {"paid": 90, "refunded": 4, "cancelled": 4, "pending": 2}
NAMES: Final = ("Ada", "Grace", "Alan", "Katherine", "Emmy", "Hedy", "Sophie", "Radia", "Maryam")
SURNAMES: Final = ("Berger", "Costa", "Dupont", "Eder", "Fischer", "Jansen", "Moretti", "Novak")
PRODUCTS: Final = (
    ("Walnut desk lamp", "Lighting", 8_900),
    ("Linen bed set", "Textiles", 12_900),
    ("Stoneware bowls, set of 4", "Kitchen", 4_800),
    ("Oak side table", "Furniture", 19_900),
    ("Wool throw", "Textiles", 7_400),
    ("Pour-over coffee set", "Kitchen", 5_900),
    ("Paper pendant lamp", "Lighting", 3_900),
    ("Cast-iron pan, 26 cm", "Kitchen", 6_900),
    ("Reading chair", "Furniture", 44_900),
    ("Beeswax candles, 6", "Lighting", 1_950),
    ("Jute rug, 120 × 180", "Textiles", 14_900),
    ("Wall shelf, ash", "Furniture", 9_900),
)


async def load_demo(database: Database, until: datetime) -> int:
    """Put the shop's demo data from ``FIRST_DAY`` to ``until`` there and return how many orders.

    Rows that are there stay as they are, so it can be repeated.
    """
    await _put(database, products, [_product(index) for index in range(len(PRODUCTS))])
    joined = [_customer(index) for index in range(CUSTOMERS)]
    await _put(database, customers, [c for c in joined if c["created_at"] <= to_micros(until)])
    days = (until.astimezone(UTC).date() - FIRST_DAY).days + 1
    made = 0
    rows: list[dict[str, Any]] = []
    for index in range(days):
        rows += [
            order
            for order in day_of_orders(FIRST_DAY + timedelta(days=index))
            if order["ordered_at"] <= to_micros(until)
        ]
        if len(rows) >= CHUNK or index == days - 1:
            await _put(database, orders, rows)
            made += len(rows)
            rows = []
    return made


def day_of_orders(day: date) -> Iterator[dict[str, Any]]:
    """Make the orders of one day in UTC: more in the evening, at weekends and before Christmas."""
    random = Random(f"shop {day}")  # noqa: S311  repeatable, not secret
    weekend = 1.35 if day.isoweekday() > 5 else 1.0  # noqa: PLR2004  Saturday and Sunday
    christmas = 1.6 if day.month == 12 and day.day < 22 else 1.0  # noqa: PLR2004  the season
    growth = 1 + (day - FIRST_DAY).days / 900
    known = customers_by(day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for index in range(int(random.gauss(42, 5) * weekend * christmas * growth)):
        item = min(int(random.expovariate(0.32)), len(PRODUCTS) - 1)
        quantity = random.choice((1, 1, 1, 1, 2, 2, 3))
        country = _pick(random, COUNTRIES)
        hour = min(max(random.gauss(16.5, 4.2), 0), 23.98)
        yield {
            "id": f"ord_{day:%Y%m%d}_{index:04}",
            "customer_id": f"cus_{int(random.triangular(0, known, known * 0.1)):05}",
            "product_id": f"prd_{item:02}",
            "ordered_at": to_micros(midnight + timedelta(seconds=int(hour * 3600))),
            "status": _pick(random, STATUSES),
            "currency": "USD" if country == "US" else "EUR",
            "country": country,
            "channel": _pick(random, CHANNELS),
            "amount_minor": PRODUCTS[item][2] * quantity,
            "quantity": quantity,
        }


def customers_by(day: date) -> int:
    """Return how many customers had joined before ``day``."""
    return int(CUSTOMERS * min(1.0, (day - OPENED).days / GROWTH_DAYS) ** 1.25)


def _pick(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), weights=list(weights.values()))[0]


def _product(index: int) -> dict[str, Any]:
    name, category, price = PRODUCTS[index]
    return {
        "id": f"prd_{index:02}",
        "name": name,
        "category": category,
        "price_minor": price,
        "currency": "EUR",
    }


def _customer(index: int) -> dict[str, Any]:
    random = Random(f"customer {index}")  # noqa: S311  repeatable, not secret
    day = OPENED + timedelta(days=int(GROWTH_DAYS * (index / CUSTOMERS) ** 0.8))
    joined = datetime(day.year, day.month, day.day, tzinfo=UTC)
    joined += timedelta(seconds=random.randrange(80_000))
    return {
        "id": f"cus_{index:05}",
        "email": f"customer{index}@example.com",
        "name": f"{random.choice(NAMES)} {random.choice(SURNAMES)}",
        "country": _pick(random, COUNTRIES),
        "created_at": to_micros(joined),
    }


async def _put(database: Database, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    async with database.begin() as connection:
        await connection.execute(database.insert(table).on_conflict_do_nothing(), rows)

"""Tables of the demo shop: what reports count, imports fill and the payments handler updates.

Point them at an application's own tables by editing the queries of a report
(``templates/reports/<type>.sql``) or the targets of imports; nothing else knows these names.
No foreign keys: an import may bring orders before their customers. Instants are microseconds since
1970 UTC, money is whole minor units of ``currency``.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from adapters.database.metadata import metadata

STATUSES: Final = ("pending", "paid", "refunded", "cancelled")

customers: Final = Table(
    "customers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_customers_created_at", "created_at"),
)

products: Final = Table(
    "products",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("product_id", Text, nullable=False),
    Column("ordered_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("quantity", Integer, nullable=False),
    Index("ix_orders_ordered_at", "ordered_at"),
)

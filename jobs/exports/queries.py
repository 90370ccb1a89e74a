"""What can be exported: a query has parameters, columns and a key that orders it.

The SQL stands in ``adapters.database.transfers.exports`` under the same name. A query of one's own
is one ``Query`` here and one select there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from jobs.base import Contract


class Kind(StrEnum):
    """How the values of a column are stored and written."""

    TEXT = "text"
    NUMBER = "number"
    INSTANT = "instant"
    """Microseconds since 1970 UTC; written as ``2026-11-24T09:30:00Z``."""
    AMOUNT = "amount"
    """Whole minor units of the currency in ``currency``; written with its decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an export."""

    name: str
    kind: Kind = Kind.TEXT
    currency: str = "currency"
    """For an amount: the column with its currency."""


Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class CustomerParameters(Contract):
    """Which customers."""

    country: Country | None = None


class ProductParameters(Contract):
    """Which products."""

    category: str | None = Field(default=None, max_length=200)


class OrderParameters(Contract):
    """Which orders."""

    start: AwareDatetime | None = None
    """Ordered at this instant or later."""
    end: AwareDatetime | None = None
    """Ordered before this instant."""
    status: Literal["pending", "paid", "refunded", "cancelled"] | None = None
    country: Country | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Rows that can be exported."""

    name: str
    parameters: type[Contract]
    columns: tuple[Column, ...]
    """In the order of the file; with the names of an import's target, so that it can come back."""
    key: str = "id"
    """Column that is unique and orders the rows: a repeated export gives the same bytes."""


QUERIES: Final = {
    query.name: query
    for query in (
        Query(
            name="customers",
            parameters=CustomerParameters,
            columns=(
                Column(name="id"),
                Column(name="email"),
                Column(name="name"),
                Column(name="country"),
                Column(name="created_at", kind=Kind.INSTANT),
            ),
        ),
        Query(
            name="orders",
            parameters=OrderParameters,
            columns=(
                Column(name="id"),
                Column(name="customer_id"),
                Column(name="product_id"),
                Column(name="ordered_at", kind=Kind.INSTANT),
                Column(name="status"),
                Column(name="currency"),
                Column(name="country"),
                Column(name="channel"),
                Column(name="amount", kind=Kind.AMOUNT),
                Column(name="quantity", kind=Kind.NUMBER),
            ),
        ),
        Query(
            name="products",
            parameters=ProductParameters,
            columns=(
                Column(name="id"),
                Column(name="name"),
                Column(name="category"),
                Column(name="price", kind=Kind.AMOUNT),
                Column(name="currency"),
            ),
        ),
    )
}
"""Every query there is, by name."""

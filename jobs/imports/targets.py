"""Where rows can go: a target is a row model and a key.

The model's fields are the columns that a file may have, their annotations the rules of a cell.
What the rows end up in is the table of the same name in ``adapters.database.transfers``: a field is
the column of its name; an instant is stored as microseconds since 1970 UTC, and an amount of
``Money`` as whole minor units in the column ``<field>_minor``.

A target of one's own is one ``Target`` here and one table there. Known annotations are ``str``,
``int``, ``float``, ``bool``, ``date``, ``AwareDatetime``, ``Literal`` and string enums, ``Money``,
each also ``| None``, with pydantic's constraints and validators in ``Annotated``.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from jobs.base import Personal


class Row(BaseModel):
    """Base of row models."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class MinorUnits:
    """Marks an amount that is stored in whole minor units of the currency in another field."""

    currency: str


@dataclass(frozen=True, slots=True)
class Expected:
    """Says in words what a pattern asks for; ``is no <words>`` is the reason of a reject."""

    words: str


Key = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}$"),
    Expected("id of 1 to 64 letters, digits and _.:-"),
]
Name = Annotated[
    str,
    Field(max_length=200, pattern=r"\S"),
    Expected("text of 1 to 200 characters that is not blank"),
]
Email = Annotated[
    str,
    Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$", max_length=254),
    Expected("address such as ada@example.com"),
    Personal,
]
Country = Annotated[
    str, Field(pattern=r"^[A-Z]{2}$"), Expected("country of two capital letters such as DE")
]
Currency = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$"), Expected("currency of three capital letters such as EUR")
]
Channel = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_\-]{0,31}$"),
    Expected("word of 1 to 32 small letters, digits, _ and -"),
]
Money = Annotated[Decimal, Field(ge=0, lt=10**13), MinorUnits("currency")]
"""An amount in the row's ``currency``, with no more digits than that has."""


class CustomerRow(Row):
    """One customer."""

    id: Key
    email: Email
    name: Annotated[Name, Personal]
    country: Country
    created_at: AwareDatetime


class ProductRow(Row):
    """One product."""

    id: Key
    name: Name
    category: Name
    price: Money
    currency: Currency


class OrderRow(Row):
    """One order of one product."""

    id: Key
    customer_id: Key
    product_id: Key
    ordered_at: AwareDatetime
    status: Literal["pending", "paid", "refunded", "cancelled"]
    currency: Currency
    country: Country
    channel: Channel
    amount: Money
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A table that files can be imported into."""

    name: str
    row: type[BaseModel]
    key: str
    """The field by which a row is recognised; required in every file."""

    def __post_init__(self) -> None:
        decorators = self.row.__pydantic_decorators__
        if decorators.field_validators or decorators.model_validators:
            msg = (
                f"{self.row.__name__}: columns are validated, not rows, so the model's own "
                "validators would be passed over; put them into the annotations"
            )
            raise TypeError(msg)

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """The columns that a file may have."""
        return self.row.model_fields

    @property
    def required(self) -> list[str]:
        """The columns that a file must have."""
        return [name for name, field in self.fields.items() if field.is_required()]


TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="customers", row=CustomerRow, key="id"),
        Target(name="orders", row=OrderRow, key="id"),
        Target(name="products", row=ProductRow, key="id"),
    )
}
"""Every target there is, by name."""

"""Checks of whole columns: from cells of text to what the database stores.

A chunk is checked column by column, not cell by cell: most columns cost a few calls into C however
many rows they have. Only a column with something wrong is looked at cell by cell.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from jobs.currencies import minor_digits
from jobs.imports import Expected, MinorUnits

Cells = Sequence[str]
Problems = dict[int, str]
"""Reason by index of the cell."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICRO: Final = timedelta(microseconds=1)
SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1


class BadCellsError(Exception):
    """Some cells of a column are bad."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(f"{len(problems)} bad cells")
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """How values are written in a file."""

    decimal: str = "."
    date_format: str | None = None
    iso_too: bool = False
    """Dates and times may be of ISO 8601 in spite of ``date_format``."""
    time_zone: str | None = None

    @property
    def zone(self) -> ZoneInfo | None:
        """Of times without an offset."""
        return ZoneInfo(self.time_zone) if self.time_zone else None


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is checked and stored."""

    name: str
    """Field of the target."""
    stored_as: str
    """Column of the table."""
    check: Callable[[Cells, Mapping[str, Cells]], list[Any]]
    """From cells, and those of the other columns, to values; raises ``BadCellsError``."""


def column_of(name: str, field: FieldInfo, notation: Notation) -> Column:
    """Return the check of a field.

    Raises:
        TypeError: the field's annotation is none that can be stored.
    """
    annotation, nullable = _without_none(field.annotation)
    money = next((rule for rule in field.metadata if isinstance(rule, MinorUnits)), None)
    check: Callable[[Cells, Mapping[str, Cells]], list[Any]]
    stored_as = name
    if money is not None:
        check = AmountCheck(name, money, TypeAdapter(_annotated(Decimal, field)), notation)
        stored_as = f"{name}_minor"
    elif annotation in {datetime, AwareDatetime}:
        check = InstantCheck(notation)
    elif annotation is date:
        check = DateCheck(notation)
    elif annotation is Decimal:
        msg = f"{name}: amounts need a currency, jobs.imports.targets.Money; or store them as str"
        raise TypeError(msg)
    else:
        rules = _annotated(annotation, field)
        if annotation is int:
            rules = Annotated[rules, Field(ge=SMALLEST, le=LARGEST)]
        check = PydanticCheck(
            TypeAdapter(list[rules]),  # type: ignore[valid-type]  # made from a model at run time
            commas=annotation is float and notation.decimal == ",",
            expected=next((rule for rule in field.metadata if isinstance(rule, Expected)), None),
        )
    return Column(name, stored_as, NullableCheck(check) if nullable else check)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in {Union, UnionType}:
        members = [member for member in get_args(annotation) if member is not NoneType]
        if len(members) == 1:
            return members[0], True
    return annotation, False


def _annotated(annotation: Any, field: FieldInfo) -> Any:
    rules = [rule for rule in field.metadata if not isinstance(rule, MinorUnits)]
    for rule in rules:
        annotation = Annotated[annotation, rule]
    return annotation


@dataclass(frozen=True, slots=True)
class NullableCheck:
    """An empty cell is no value; the others are checked."""

    check: Callable[[Cells, Mapping[str, Cells]], list[Any]]

    def __call__(self, cells: Cells, others: Mapping[str, Cells]) -> list[Any]:
        """Return the values, None for an empty cell."""
        places = [index for index, cell in enumerate(cells) if cell]
        if len(places) == len(cells):
            return self.check(cells, others)
        if not places:
            return [None] * len(cells)
        beside = {name: [column[place] for place in places] for name, column in others.items()}
        try:
            values = self.check([cells[place] for place in places], beside)
        except BadCellsError as error:
            raise BadCellsError(
                {places[index]: reason for index, reason in error.problems.items()}
            ) from None
        found: list[Any] = [None] * len(cells)
        for place, value in zip(places, values, strict=True):
            found[place] = value
        return found


@dataclass(frozen=True, slots=True)
class PydanticCheck:
    """The rules of an annotation, over a whole column at once."""

    adapter: TypeAdapter[list[Any]]
    commas: bool = False
    expected: Expected | None = None

    def __call__(self, cells: Cells, others: Mapping[str, Cells]) -> list[Any]:
        """Return the values."""
        written = [cell.replace(",", ".") for cell in cells] if self.commas else cells
        problems: Problems = {}
        try:
            values = self.adapter.validate_python(written)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                place = detail["loc"][0]
                problems.setdefault(int(place), self._reason(detail))
            values = []
        if "\0" in "".join(cells):  # PostgreSQL has no text with it
            problems |= {i: "has a NUL character" for i, cell in enumerate(cells) if "\0" in cell}
        if problems:
            raise BadCellsError(problems)
        return values

    def _reason(self, detail: Any) -> str:
        if detail["type"] == "string_pattern_mismatch" and self.expected is not None:
            return f"is no {self.expected.words}"
        return explained(detail["type"], detail)


def explained(kind: str, detail: Any) -> str:
    """Return pydantic's reason in our words where they say more."""
    context = detail.get("ctx", {})
    match kind:
        case "string_pattern_mismatch":
            return f"doesn't match {context['pattern']}"
        case "literal_error" | "enum":
            return f"is none of {context['expected']}"
        case "string_too_short":
            return f"has less than {context['min_length']} characters"
        case "string_too_long":
            return f"has more than {context['max_length']} characters"
        case "int_parsing" | "int_from_float" | "int_parsing_size":
            return "is no whole number"
        case "float_parsing" | "finite_number":
            return "is no number"
        case "greater_than_equal":
            return f"is less than {context['ge']}"
        case "greater_than":
            return f"is not greater than {context['gt']}"
        case "less_than_equal":
            return f"is greater than {context['le']}"
        case "less_than":
            return f"is not less than {context['lt']}"
        case _:
            message: str = detail["msg"]
            return message.removeprefix("Value error, ")


@dataclass(frozen=True, slots=True)
class AmountCheck:
    """Decimals to whole minor units of the currency beside them."""

    name: str
    money: MinorUnits
    rules: TypeAdapter[Decimal]
    notation: Notation

    def __call__(self, cells: Cells, others: Mapping[str, Cells]) -> list[int]:
        """Return the amounts in minor units."""
        currencies = others[self.money.currency]
        known = set(currencies)
        digits = {minor_digits(currency) for currency in known}
        if len(digits) == 1 and (values := self._at_once(cells, digits.pop())) is not None:
            return values
        return self._one_by_one(cells, currencies)

    def _at_once(self, cells: Cells, digits: int) -> list[int] | None:
        """Return the values if every cell is plain digits with just the currency's decimals."""
        text = "\n".join(cells)
        mark = re.escape(self.notation.decimal)
        shape = rf"[0-9]{{1,15}}{mark}[0-9]{{{digits}}}" if digits else r"[0-9]{1,15}"
        if not re.fullmatch(rf"{shape}(?:\n{shape})*", text):
            return None
        values = list(map(int, text.replace(self.notation.decimal, "").split("\n")))
        scale = Decimal(10) ** digits
        if any(self._broken(Decimal(edge) / scale) for edge in (min(values), max(values))):
            return None
        return values

    def _one_by_one(self, cells: Cells, currencies: Cells) -> list[int]:
        values: list[int] = []
        problems: Problems = {}
        for index, (cell, currency) in enumerate(zip(cells, currencies, strict=True)):
            digits = minor_digits(currency)
            found = self._amount(cell, currency, digits)
            if isinstance(found, str):
                problems[index] = found
            else:
                values.append(found)
        if problems:
            raise BadCellsError(problems)
        return values

    def _amount(self, cell: str, currency: str, digits: int) -> int | str:
        mark = self.notation.decimal
        match = re.fullmatch(rf"([+\-\u2212]?)([0-9]{{1,18}})(?:{re.escape(mark)}([0-9]*))?", cell)
        if match is None:
            return f"is no amount with the decimal mark '{mark}'"
        decimals = (match[3] or "").rstrip("0")
        if len(decimals) > digits:
            return f"has {len(decimals)} decimals, {currency} has {digits}"
        sign = -1 if match[1] in {"-", "\u2212"} else 1
        minor = sign * int(match[2] + decimals.ljust(digits, "0"))
        if not SMALLEST <= minor <= LARGEST:
            return "has too many digits"
        broken = self._broken(Decimal(minor) / Decimal(10) ** digits)
        return broken or minor

    def _broken(self, amount: Decimal) -> str | None:
        try:
            self.rules.validate_python(amount)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]
            return explained(detail["type"], detail)
        return None


@dataclass(frozen=True, slots=True)
class InstantCheck:
    """Date-times to microseconds since 1970 UTC."""

    notation: Notation

    def __call__(self, cells: Cells, others: Mapping[str, Cells]) -> list[int]:
        """Return the instants."""
        if self.notation.date_format is None:
            try:
                read = list(map(datetime.fromisoformat, cells))
                return [(instant - EPOCH) // MICRO for instant in read]
            except (ValueError, TypeError):  # unreadable, or without an offset
                pass
        known: dict[str, int | str] = {cell: self._instant(cell) for cell in set(cells)}
        found = [known[cell] for cell in cells]
        problems = {i: value for i, value in enumerate(found) if isinstance(value, str)}
        if problems:
            raise BadCellsError(problems)
        return [value for value in found if isinstance(value, int)]

    def _instant(self, cell: str) -> int | str:
        read = _read_date(cell, self.notation)
        if read is None:
            return f"is no date-time {_shape(self.notation)}"
        if read.tzinfo is None:
            zone = self.notation.zone
            if zone is None:
                return "has no offset: state the file's time_zone"
            local = read.replace(tzinfo=zone)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                there = local.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
                fault = "exists twice" if there == read else "does not exist"
                return f"{fault} in {zone.key}, where clocks change then: give an offset"
            read = local
        try:
            return (read - EPOCH) // MICRO
        except OverflowError:
            return "lies outside of the years 1 to 9999"


@dataclass(frozen=True, slots=True)
class DateCheck:
    """Days, stored as ``YYYY-MM-DD``."""

    notation: Notation

    def __call__(self, cells: Cells, others: Mapping[str, Cells]) -> list[str]:
        """Return the days."""
        known = {cell: _read_date(cell, self.notation) for cell in set(cells)}
        reason = f"is no date {_shape(self.notation)}"
        if problems := {i: reason for i, cell in enumerate(cells) if known[cell] is None}:
            raise BadCellsError(problems)
        return [day.date().isoformat() for cell in cells if (day := known[cell]) is not None]


def _read_date(cell: str, notation: Notation) -> datetime | None:
    if notation.date_format is not None:
        with suppress(ValueError):
            return datetime.strptime(cell, notation.date_format)  # noqa: DTZ007 - zone comes later
    if notation.date_format is None or notation.iso_too:
        with suppress(ValueError):
            return datetime.fromisoformat(cell)
    return None


def _shape(notation: Notation) -> str:
    if notation.date_format is not None:
        return f"written as {notation.date_format}"
    return "of ISO 8601, 2026-11-24T09:30:00Z"

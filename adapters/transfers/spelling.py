"""Spells stored values as text, column by column.

``adapters.database.transfers.exports`` does the same in SQL where PostgreSQL writes CSV itself; a
test holds the two together.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.transfers.formulas import guard
from jobs.currencies import minor_digits
from jobs.exports import Column, Kind, Page

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_MICROS: Final = 1_000_000
SPECIAL: Final = frozenset('",\r\n')


def instant(micros: int) -> str:
    """Return an instant as ``2026-11-24T09:30:00Z``, with a fraction only if it has one."""
    seconds, fraction = divmod(micros, SECOND_MICROS)
    text = (EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    return f"{text}.{fraction:06d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def amount(minor: int, currency: str) -> str:
    """Return an amount with the decimals of its currency."""
    digits = minor_digits(currency)
    if not digits:
        return str(minor)
    whole = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{whole[:-digits]}.{whole[-digits:]}"


def spelled(page: Page, column: Column) -> list[str | None]:
    """Return the values of a column as text, None for none."""
    values = page.columns[column.name]
    match column.kind:
        case Kind.TEXT:
            return list(values)
        case Kind.AMOUNT:
            currencies = page.columns[column.currency]
            return [
                None if value is None else amount(value, currency)
                for value, currency in zip(values, currencies, strict=True)
            ]
        case Kind.INSTANT:
            return _each(values, instant)
        case Kind.NUMBER:
            return _each(values, str)


def _each(values: Sequence[Any], spell: Callable[[Any], str]) -> list[str | None]:
    return [None if value is None else spell(value) for value in values]


def csv_lines(page: Page, columns: Sequence[Column], *, guarded: bool) -> bytes:
    """Return the rows of ``page`` as PostgreSQL's ``COPY`` would write them.

    No value is an empty cell, empty text is ``""``.
    """
    cells = [_csv_cells(page, column, guarded=guarded) for column in columns]
    return "".join(f"{line}\n" for line in map(",".join, zip(*cells, strict=True))).encode()


def _csv_cells(page: Page, column: Column, *, guarded: bool) -> list[str]:
    values = spelled(page, column)
    if column.kind is not Kind.TEXT:
        return [value or "" for value in values]
    if None in values or "" in values:
        return ["" if value is None else _quoted(*_guarded([value], guarded)) for value in values]
    texts = _guarded([value for value in values if value is not None], guarded)
    if SPECIAL.isdisjoint("".join(texts)) and "\\." not in texts:
        return texts
    return [_quoted(text) for text in texts]


def _guarded(texts: list[str], guarded: bool) -> list[str]:
    return guard(texts) if guarded else texts


def _quoted(text: str) -> str:
    if text and SPECIAL.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def records(page: Page, columns: Sequence[Column]) -> list[Mapping[str, Any]]:
    """Return the rows of ``page`` for JSON: numbers as numbers, amounts as exact text."""
    names = [column.name for column in columns]
    by_column = [
        page.columns[column.name] if column.kind is Kind.NUMBER else spelled(page, column)
        for column in columns
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*by_column, strict=True)]

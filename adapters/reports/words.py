"""Figures as people read them."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from jobs.figures import Better, Kind, Kpi
from jobs.money import SYMBOLS, digits

MINUS: Final = "\N{MINUS SIGN}"
UNKNOWN: Final = "n/a"
TENTH: Final = Decimal("0.1")


def say(text: str | None, kind: Kind, currency: str | None) -> str:
    """Return a figure for showing: ``€1,234.50``, ``12.5%``, ``Mon 1 Mar 2027``."""
    if text is None or not text:
        return UNKNOWN
    match kind:
        case Kind.TEXT:
            return text
        case Kind.DATE:
            return say_day(text)
        case Kind.COUNT:
            return _signed(Decimal(text), f"{abs(Decimal(text)):,}")
        case Kind.SHARE:
            return _signed(Decimal(text), f"{_percent(abs(Decimal(text)))}%")
        case Kind.MONEY:
            return say_money(Decimal(text), currency)


def say_day(text: str) -> str:
    """Return an ISO date with its weekday; any other text as it is."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day:%a} {day.day} {day:%b %Y}"


def say_money(amount: Decimal, currency: str | None) -> str:
    """Return an amount with its currency's symbol, or else its code."""
    plain = f"{abs(amount):,.{digits(currency)}f}"
    symbol = SYMBOLS.get(currency or "")
    if symbol:
        return _signed(amount, symbol + plain)
    return _signed(amount, f"{plain} {currency}" if currency else plain)


def say_change(kpi: Kpi) -> str:
    """Return the change of a key figure: ``+12.5%``, or ``n/a`` where it can't be told."""
    if kpi.change is None:
        return UNKNOWN
    change = Decimal(kpi.change)
    percent = _percent(abs(change))
    if not percent:
        return "±0.0%"
    return f"{'+' if change > 0 else MINUS}{percent:,}%"


def tone(kpi: Kpi) -> str:
    """Return whether the change is ``good``, ``bad`` or ``flat``."""
    change = Decimal(kpi.change or 0)
    if not _percent(abs(change)) or kpi.better is Better.NEITHER:
        return "flat"
    return "good" if (change > 0) == (kpi.better is Better.UP) else "bad"


def _percent(fraction: Decimal) -> Decimal:
    return (fraction * 100).quantize(TENTH, ROUND_HALF_UP)


def _signed(amount: Decimal, plain: str) -> str:
    return MINUS + plain if amount < 0 else plain

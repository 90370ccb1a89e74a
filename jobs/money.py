"""Money: whole minor units and a currency code, and the decimal that people read."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from jobs.currencies import minor_digits

SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}


def digits(currency: str | None) -> int:
    """Return how many digits after the point the currency has; two where none is named."""
    return minor_digits(currency or "")


def from_minor(minor: int | Decimal, currency: str | None) -> Decimal:
    """Return ``minor`` units as whole units, rounded half up to the currency's digits."""
    places = digits(currency)
    return Decimal(minor).scaleb(-places).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

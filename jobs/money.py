"""Money: whole minor units and a currency code, and the decimal that people read."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

DEFAULT_DIGITS: Final = 2
NO_DIGITS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE_DIGITS: Final = "BHD IQD JOD KWD LYD OMR TND"
DIGITS: Final = {
    **dict.fromkeys(NO_DIGITS.split(), 0),
    **dict.fromkeys(THREE_DIGITS.split(), 3),
    "CLF": 4,
    "UYW": 4,
}
"""Digits after the point of every currency of ISO 4217 that hasn't two."""

SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}


def digits(currency: str | None) -> int:
    """Return how many digits after the point the currency has."""
    return DIGITS.get(currency or "", DEFAULT_DIGITS)


def from_minor(minor: int | Decimal, currency: str | None) -> Decimal:
    """Return ``minor`` units as whole units, rounded half up to the currency's digits."""
    places = digits(currency)
    return Decimal(minor).scaleb(-places).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

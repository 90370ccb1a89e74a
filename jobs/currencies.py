"""Digits of currencies after the decimal mark, by ISO 4217; two where nothing else is said."""

import re
from typing import Final

USUAL_DIGITS: Final = 2
UNUSUAL: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DIGITS: Final = {
    code: digits for digits, codes in UNUSUAL.items() for code in re.findall(r"[A-Z]{3}", codes)
}


def minor_digits(currency: str) -> int:
    """Return how many digits an amount in ``currency`` has after the decimal mark."""
    return DIGITS.get(currency, USUAL_DIGITS)

"""Mail addresses and locales, as contracts take them.

An address is checked for its form only: whether its domain takes mail is for the relay to say, and
a fault of the network must not look like a wrong address.
"""

import re
from functools import lru_cache
from typing import Annotated, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

MAX_ADDRESS: Final = 254
"""RFC 5321, 4.5.3.1.3, less the angle brackets."""


PLAIN: Final = re.compile(
    r"(?P<local>[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*)"
    r"@(?P<domain>(?:[A-Za-z0-9](?:[A-Za-z0-9]|-(?!-)){0,60}(?<!-)\.)+(?:com|org|net|de))"
)
"""Addresses that need no closer look; most are such, and a list has a million of them."""
MAX_LOCAL: Final = 64


@lru_cache(maxsize=1024)
def check_address(text: str) -> str:
    """Return the address as an envelope takes it, international domains in ASCII.

    Raises:
        ValueError: what is wrong; the text is not quoted.
    """
    plain = PLAIN.fullmatch(text)
    if plain and len(plain["local"]) <= MAX_LOCAL and len(text) <= MAX_ADDRESS:
        return f"{plain['local']}@{plain['domain'].lower()}"
    try:
        parsed = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        msg = f"is no mail address: {str(error).rstrip('.')}. Write one like ada@example.com"
        raise ValueError(msg) from None
    return parsed.ascii_email or parsed.normalized


MailAddress = Annotated[
    str,
    Field(max_length=MAX_ADDRESS, examples=["ada@example.com"]),
    AfterValidator(check_address),
]
"""A bare address: no display name, no line break, no quoted local part."""

Locale = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, examples=["de-AT"])
]
"""A BCP 47 language tag."""

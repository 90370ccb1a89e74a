"""The one collection of the application's tables.

Each kind's module declares its tables on it: instants are ``BigInteger`` microseconds since 1970
in UTC (SQLite would drop an offset without a word), money is integer minor units beside a
currency code (SQLite would store ``Numeric`` as a float).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import MetaData

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(instant: datetime) -> int:
    """Return ``instant`` as stored; raises ``ValueError`` for one without an offset."""
    if instant.tzinfo is None:
        msg = "an instant needs an offset; this one has none"
        raise ValueError(msg)
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_micros(stored: int) -> datetime:
    """Return a stored instant in UTC."""
    return EPOCH + timedelta(microseconds=stored)

"""Tables of the ledger of mailings."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from adapters.database.metadata import metadata

mailing_run: Final = Table(
    "mailing_run",
    metadata,
    Column("key", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("finished_by", Text),
    Column("updated_at", BigInteger, nullable=False),
)

mailing_recipient: Final = Table(
    "mailing_recipient",
    metadata,
    Column("mailing", Text, primary_key=True),
    Column("address_hash", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("smtp_code", Integer),
    Column("smtp_text", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_mailing_recipient_mailing_position", "mailing", "position"),
)

"""Tables of the ledger of batches."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from adapters.database.metadata import metadata

batch_run: Final = Table(
    "batch_run",
    metadata,
    Column("key", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text),
    Column("total", Integer),
    Column("finished_by", Text),
    Column("updated_at", BigInteger, nullable=False),
)

batch_item: Final = Table(
    "batch_item",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("offset", BigInteger),
    Column("job_id", Text),
    Column("error_type", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # one tree instead of two: an item costs one write
)

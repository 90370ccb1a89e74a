"""Tables of the ledgers. What an import or export has done stands here, and nowhere else."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text, UniqueConstraint

from adapters.database.metadata import metadata

imports: Final = Table(
    "imports",
    metadata,
    Column("id", Text, primary_key=True),  # run id of the workflow that began it
    Column("job_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # of file and input: only the same goes on
    Column("state", Text, nullable=False),  # loading or finished
    Column("begun_at", BigInteger, nullable=False),
    UniqueConstraint("job_id"),
)

import_chunks: Final = Table(
    "import_chunks",
    metadata,
    Column("import_id", Text, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("next_byte", BigInteger, nullable=False),
    Column("next_line", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("inserted", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
)

import_rejects: Final = Table(
    "import_rejects",
    metadata,
    Column("import_id", Text, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("row", BigInteger, primary_key=True, autoincrement=False),
    Column("line", BigInteger, nullable=False),
    Column("columns", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("original", Text, nullable=False),  # JSON list of its cells
)

export_parts: Final = Table(
    "export_parts",
    metadata,
    Column("export_id", Text, primary_key=True),  # run id of the workflow
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),  # of the part in storage
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("attempt", Integer, nullable=False),  # each has a snapshot of its own
    Column("last", Text, nullable=False),  # key of its last row
)

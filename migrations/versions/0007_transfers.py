"""The ledgers of imports and exports."""

import sqlalchemy as sa
from alembic import op

revision = "0007_transfers"
down_revision = "0006_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("job_id", name="uq_imports_job_id"),
    )
    op.create_table(
        "import_chunks",
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("chunk", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("next_byte", sa.BigInteger, nullable=False),
        sa.Column("next_line", sa.BigInteger, nullable=False),
        sa.Column("read", sa.BigInteger, nullable=False),
        sa.Column("inserted", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("unchanged", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("import_id", "chunk"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name="fk_import_chunks_import_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "import_rejects",
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("row", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("original", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("import_id", "row"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name="fk_import_rejects_import_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "export_parts",
        sa.Column("export_id", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("last", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("export_id", "part"),
    )


def downgrade() -> None:
    op.drop_table("export_parts")
    op.drop_table("import_rejects")
    op.drop_table("import_chunks")
    op.drop_table("imports")

"""The table of the analytics report."""

import sqlalchemy as sa
from alembic import op

revision = "0006_reports"
down_revision = "0005_shop"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "traffic",
        sa.Column("hour_at", sa.BigInteger, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("lost", sa.Integer, nullable=False),
        sa.Column("late", sa.Integer, nullable=False),
        sa.Column("distance", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("traffic")

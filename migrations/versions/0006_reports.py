"""Reports that were made."""

revision = "0006_reports"
down_revision = "0005_shop"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

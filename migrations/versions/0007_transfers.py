"""The ledger of imports and exports."""

revision = "0007_transfers"
down_revision = "0006_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""API keys."""

revision = "0008_access"
down_revision = "0007_transfers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

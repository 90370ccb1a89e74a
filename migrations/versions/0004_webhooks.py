"""Inbound events, endpoints and deliveries."""

revision = "0004_webhooks"
down_revision = "0003_images"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

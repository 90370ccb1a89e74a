"""The catalogue of images."""

revision = "0003_images"
down_revision = "0002_emails"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

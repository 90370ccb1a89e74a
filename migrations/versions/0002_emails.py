"""Claims and outcomes of mails."""

revision = "0002_emails"
down_revision = "0001_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

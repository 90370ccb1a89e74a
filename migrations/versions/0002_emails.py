"""Claims and outcomes of mails."""

import sqlalchemy as sa
from alembic import op

revision = "0002_emails"
down_revision = "0001_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "email_send",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("address_hash", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("smtp_code", sa.Integer),
        sa.Column("smtp_text", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_email_send_address_hash", "email_send", ["address_hash"])
    op.create_index("ix_email_send_updated_at", "email_send", ["updated_at"])
    op.create_table(
        "email_suppression",
        sa.Column("address_hash", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
    )
    op.create_table(
        "password_reset",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("superseded_at", sa.BigInteger),
    )
    op.create_index("ix_password_reset_subject", "password_reset", ["subject"])
    op.create_table(
        "mailing_run",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("finished_by", sa.Text),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "mailing_recipient",
        sa.Column("mailing", sa.Text, primary_key=True),
        sa.Column("address_hash", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("smtp_code", sa.Integer),
        sa.Column("smtp_text", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ix_mailing_recipient_mailing_position", "mailing_recipient", ["mailing", "position"]
    )


def downgrade() -> None:
    op.drop_table("mailing_recipient")
    op.drop_table("mailing_run")
    op.drop_table("password_reset")
    op.drop_table("email_suppression")
    op.drop_table("email_send")

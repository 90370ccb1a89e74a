"""Inbound events, endpoints and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0004_webhooks"
down_revision = "0003_images"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("header_names", sa.Text, nullable=False),
        sa.Column("sealed_headers", sa.LargeBinary),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed_previous_key", sa.LargeBinary),
        sa.Column("previous_key_until", sa.BigInteger),
        sa.Column("next_send_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_webhook_endpoints_owner", "webhook_endpoints", ["owner"])
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("full_body", sa.LargeBinary),
        sa.Column("thin_body", sa.LargeBinary),
        sa.Column("payload_key", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_webhook_events_created_at", "webhook_events", ["created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "event_id",
            sa.Text,
            sa.ForeignKey("webhook_events.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
    )
    op.create_index("ix_webhook_deliveries_event_id", "webhook_deliveries", ["event_id"])
    op.create_index(
        "ix_webhook_deliveries_endpoint_id",
        "webhook_deliveries",
        ["endpoint_id", "state", "occurred_at"],
    )
    op.create_table(
        "webhook_attempts",
        sa.Column(
            "delivery_id",
            sa.Text,
            sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("sending", sa.Boolean, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("outcome", sa.Text),
    )
    op.create_index(
        "ix_webhook_attempts_endpoint_id", "webhook_attempts", ["endpoint_id", "sending"]
    )
    op.create_table(
        "webhook_inbound",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("body_key", sa.Text),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
    )
    op.create_index("ix_webhook_inbound_started", "webhook_inbound", ["started", "received_at"])
    op.create_index("ix_webhook_inbound_state", "webhook_inbound", ["state", "received_at"])
    op.create_table(
        "processed_effects",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("processed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_processed_effects_processed_at", "processed_effects", ["processed_at"])
    op.create_table(
        "git_pushes",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("commits", sa.Integer, nullable=False),
        sa.Column("pushed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "git_heads",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("pushed_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "git_heads",
        "git_pushes",
        "processed_effects",
        "webhook_inbound",
        "webhook_attempts",
        "webhook_deliveries",
        "webhook_events",
        "webhook_endpoints",
    ):
        op.drop_table(table)

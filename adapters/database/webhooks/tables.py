"""Tables of webhooks: endpoints, events and their deliveries, and what came in.

Instants are microseconds since 1970 in UTC; documents are JSON text; keys are sealed.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from adapters.database.metadata import metadata

endpoints: Final = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("disabled_reason", Text),
    Column("options", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("header_names", Text, nullable=False),
    Column("sealed_headers", LargeBinary),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("sealed_previous_key", LargeBinary),
    Column("previous_key_until", BigInteger),
    Column("next_send_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_webhook_endpoints_owner", "owner"),
)

events: Final = Table(
    "webhook_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("full_body", LargeBinary),
    Column("thin_body", LargeBinary),
    Column("payload_key", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_webhook_events_created_at", "created_at"),
)

deliveries: Final = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", Text, ForeignKey("webhook_events.id", ondelete="CASCADE"), nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("next_attempt_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index("ix_webhook_deliveries_event_id", "event_id"),
    Index("ix_webhook_deliveries_endpoint_id", "endpoint_id", "state", "occurred_at"),
)

attempts: Final = Table(
    "webhook_attempts",
    metadata,
    Column(
        "delivery_id",
        Text,
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("run_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("endpoint_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("sending", Boolean, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("answer", Text),
    Column("outcome", Text),
    Index("ix_webhook_attempts_endpoint_id", "endpoint_id", "sending"),
)

inbound: Final = Table(
    "webhook_inbound",
    metadata,
    Column("source", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("type", Text),
    Column("state", Text, nullable=False),
    Column("started", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("content_type", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary),
    Column("body_key", Text),
    Column("received_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index("ix_webhook_inbound_started", "started", "received_at"),
    Index("ix_webhook_inbound_state", "state", "received_at"),
)

processed_effects: Final = Table(
    "processed_effects",
    metadata,
    Column("handler", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("processed_at", BigInteger, nullable=False),
    Index("ix_processed_effects_processed_at", "processed_at"),
)

pushes: Final = Table(
    "git_pushes",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("repository", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("commits", Integer, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
)

heads: Final = Table(
    "git_heads",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("after", Text, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
)

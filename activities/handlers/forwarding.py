"""Forwarding: what comes in from ``partner`` goes out as an event of ours."""

import re

from activities.handlers.registry import ANY, handler
from activities.handlers.tools import Tools
from jobs.events import MAX_PAYLOAD_BYTES, PublishEvent, canonical
from jobs.webhooks import EventRejected, Handled, InboundEvent


@handler("partner", ANY)
async def forward(event: InboundEvent, tools: Tools) -> Handled:
    """Publish the event as ``partner.<type>``; the job's id makes it once."""
    if len(canonical(event.body)) > MAX_PAYLOAD_BYTES:
        msg = f"over {MAX_PAYLOAD_BYTES:,} bytes, too large to be forwarded"
        raise EventRejected(msg)
    words = [word for word in re.split(r"[^A-Za-z0-9_]+", event.type) if word]
    outbound = PublishEvent(
        event_type=".".join([event.source, *words])[:128].rstrip("."),
        payload=event.body,
        occurred_at=event.occurred_at or event.received_at,
    )
    return Handled(publish=outbound, note=f"forwarded as {outbound.event_type}")

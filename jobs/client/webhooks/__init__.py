"""Webhooks out and in, for the doors: the desk of endpoints, and the start of inbound events."""

from jobs.client.webhooks.desk import EndpointDesk, EndpointNotFoundError, ReplayFilter
from jobs.client.webhooks.inbound import InboundStarter, ensure_sweep

__all__ = [
    "EndpointDesk",
    "EndpointNotFoundError",
    "InboundStarter",
    "ReplayFilter",
    "ensure_sweep",
]

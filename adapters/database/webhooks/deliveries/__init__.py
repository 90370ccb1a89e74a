"""Deliveries of events to endpoints: the log that attempts go by, and the book to look into."""

from adapters.database.webhooks.deliveries.book import DeliveryBook
from adapters.database.webhooks.deliveries.log import DeliveryLog

__all__ = ["DeliveryBook", "DeliveryLog"]

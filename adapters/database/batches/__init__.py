"""Batches in the application database."""

from adapters.database.batches.ledger import BatchLedger
from adapters.database.batches.tables import batch_item, batch_run

__all__ = ["BatchLedger", "batch_item", "batch_run"]

"""Fixtures of several test modules."""

from tests.webhooks import house, webhook_template

__all__ = ["house", "webhook_template"]

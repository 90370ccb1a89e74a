"""Webhooks in the application database."""

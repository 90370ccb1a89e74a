"""Steps of the email and reminder jobs."""

from activities.emails.sending import EmailActivities

__all__ = ["EmailActivities"]

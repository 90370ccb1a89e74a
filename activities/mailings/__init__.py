"""Steps of the mailing job: read the list, send its chunks, write the outcomes."""

from activities.mailings.steps import MailingActivities

__all__ = ["MailingActivities"]

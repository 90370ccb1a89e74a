"""Mailings in the application database."""

from adapters.database.mailings.book import MailingBook
from adapters.database.mailings.ledger import MailingLedger
from adapters.database.mailings.recipients import Recipients
from adapters.database.mailings.tables import mailing_recipient, mailing_run

__all__ = ["MailingBook", "MailingLedger", "Recipients", "mailing_recipient", "mailing_run"]

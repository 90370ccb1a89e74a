"""What can become of a mail that is not taken.

Named by what to do about it, not by code; ``adapters/smtp_errors.py`` maps the one to the other.
"""

from typing import Final, Self

from jobs.errors import PermanentError, TransientError


class SmtpAnswered:
    """Mixed into errors that a relay's answer caused."""

    code: int | None = None
    text: str = ""

    def answered(self, code: int, text: str) -> Self:
        """Return the error with the answer that caused it."""
        self.code, self.text = code, text
        return self


class EmailRelayUnavailable(SmtpAnswered, TransientError):
    """The relay can't be reached, or closed the connection before it had the message."""


class EmailDeferred(SmtpAnswered, TransientError):
    """The relay said: not now."""


class EmailGreylisted(EmailDeferred):
    """The receiver's server takes mail from strangers only at a later try."""


class EmailRelayMisconfigured(SmtpAnswered, PermanentError):
    """The relay refuses us, whatever the mail: login, certificate, STARTTLS. Mend the settings."""


class MailTemplateMissing(PermanentError):
    """A file of the mail template is not there: put it back."""


class EmailClaimed(TransientError):
    """Another attempt holds this message in the ledger; the next attempt reads what came of it."""


class EmailOutcomeUnknown(SmtpAnswered, TransientError):
    """The message went out and its answer was lost."""


class EmailRefused(SmtpAnswered, PermanentError):
    """The relay refused the mail for good."""


class EmailRecipientRejected(EmailRefused):
    """There is no such mailbox; the address is not written to again."""


class EmailMailboxUnavailable(EmailRefused):
    """The mailbox is full, closed or takes no mail from us."""


class EmailContentRejected(EmailRefused):
    """The relay's policy refuses the message: spam, signature, blocked sender."""


class EmailTooLarge(EmailRefused):
    """The message is larger than the relay takes."""


class EmailSenderRejected(EmailRefused):
    """The relay does not let us send under the address in ``CONVEYOR_MAIL_FROM``."""


class EmailAddressUnsupported(EmailRefused):
    """The address needs SMTPUTF8, which the relay does not speak."""


class EmailNotComposed(PermanentError):
    """The message can't be built from this input."""


class UserUnknown(PermanentError):
    """The directory has no such user."""


class AttachmentMissing(PermanentError):
    """An attachment is not in storage."""


class AttachmentsTooLarge(PermanentError):
    """The attachments are larger together than a mail may be."""


REFUSALS: Final = {
    cls.__name__: cls
    for cls in (
        EmailRecipientRejected,
        EmailMailboxUnavailable,
        EmailContentRejected,
        EmailTooLarge,
        EmailSenderRejected,
        EmailAddressUnsupported,
    )
}

DEFERRED: Final = frozenset({"EmailDeferred", "EmailGreylisted"})
"""Errors that say "later": the job goes on trying until the mail expires."""

STOPS_ALL_MAIL: Final = frozenset({"EmailRelayMisconfigured", "EmailSenderRejected"})
"""Errors of the set-up that every mail meets, also one that would tell of them."""

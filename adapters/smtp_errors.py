"""What an SMTP failure means: the code decides first, then how far the conversation had come."""

import re
import ssl
from datetime import timedelta
from enum import StrEnum
from typing import Final

from aiosmtplib import (
    SMTPConnectError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from jobs.emails import (
    MAX_SMTP_TEXT,
    EmailContentRejected,
    EmailDeferred,
    EmailGreylisted,
    EmailMailboxUnavailable,
    EmailOutcomeUnknown,
    EmailRecipientRejected,
    EmailRefused,
    EmailRelayMisconfigured,
    EmailRelayUnavailable,
    EmailSenderRejected,
    EmailTooLarge,
)
from jobs.errors import JobError

AFTER_GOING_AWAY: Final = timedelta(seconds=60)
AFTER_OUT_OF_STEP: Final = timedelta(seconds=1)
AFTER_GREYLISTING: Final = timedelta(minutes=5)

GOING_AWAY: Final = 421
OUT_OF_STEP: Final = 503
NOT_LET_IN: Final = {530, 534, 535, 538}
TOO_MUCH: Final = 552
PERMANENT: Final = 500
BAD_ADDRESS: Final = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
NO_SUCH_MAILBOX: Final = {550, 551, 553}
MESSAGE_TOO_BIG: Final = {"5.3.4", "5.2.3"}

ADDRESS: Final = re.compile(r"[^\s<>()\[\]:;,]+@[^\s<>()\[\]:;,]+")
STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


class Phase(StrEnum):
    """How far the conversation had come; the value names the command in messages."""

    CONNECT = "the connection"
    SENDER = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"


def shown(text: str) -> str:
    """Return a relay's text in one short line and without the addresses that relays quote."""
    return ADDRESS.sub("***", " ".join(text.split()))[:MAX_SMTP_TEXT]


def translate(error: Exception, phase: Phase) -> JobError:
    """Return what to raise for a failure of the SMTP library or the socket."""
    match error:
        case SMTPResponseException():
            return _answered(error.code, shown(error.message), phase)
        case ssl.SSLError() | SMTPConnectError(__cause__=ssl.SSLError()):
            return _misconfigured(
                "its TLS can't be trusted or spoken: check the scheme (smtp:// has STARTTLS, "
                "smtps:// TLS from the start), the port and CONVEYOR_SMTP_CA_FILE"
            )
        case SMTPServerDisconnected() | SMTPTimeoutError() | OSError() if phase is Phase.DATA:
            msg = "the message went out and the relay's answer was lost"
            return EmailOutcomeUnknown(msg)
        case SMTPConnectError() | SMTPServerDisconnected() | SMTPTimeoutError() | OSError():
            msg = f"the mail relay can't be reached, or left, at {phase}: {type(error).__name__}"
            return EmailRelayUnavailable(msg)
        case SMTPException() if phase is Phase.CONNECT:
            return _misconfigured(shown(error.message))
        case _:
            msg = f"the mail relay is not understood at {phase}: {type(error).__name__}"
            return EmailRelayUnavailable(msg)


def _misconfigured(reason: str) -> JobError:
    msg = f"the mail relay does not let us in: {reason}. Mend CONVEYOR_SMTP_URL"
    return EmailRelayMisconfigured(msg)


def _answered(code: int, text: str, phase: Phase) -> JobError:
    said = f"the relay answered {code} {text} to {phase}"
    match = STATUS.match(text)
    status = match[0] if match else ""
    if code == GOING_AWAY:
        return EmailRelayUnavailable(said, retry_after=AFTER_GOING_AWAY).answered(code, text)
    if code == OUT_OF_STEP:
        return EmailRelayUnavailable(said, retry_after=AFTER_OUT_OF_STEP).answered(code, text)
    if code in NOT_LET_IN or (code >= PERMANENT and phase is Phase.CONNECT):
        msg = f"{said}. Mend the login in CONVEYOR_SMTP_URL"
        return EmailRelayMisconfigured(msg).answered(code, text)
    if code < PERMANENT:
        if status.startswith("4.7.") and phase in {Phase.RECIPIENT, Phase.DATA}:
            return EmailGreylisted(said, retry_after=AFTER_GREYLISTING).answered(code, text)
        return EmailDeferred(said).answered(code, text)
    return _refusal(code, status, phase)(said).answered(code, text)


def _refusal(code: int, status: str, phase: Phase) -> type[EmailRefused]:
    """Return the class of a permanent refusal."""
    if status in MESSAGE_TOO_BIG or (
        code == TOO_MUCH and phase is not Phase.RECIPIENT and not status.startswith("5.2.")
    ):
        return EmailTooLarge
    match phase:
        case Phase.SENDER:
            return EmailSenderRejected
        case Phase.RECIPIENT if status in BAD_ADDRESS or (not status and code in NO_SUCH_MAILBOX):
            return EmailRecipientRejected
        case Phase.RECIPIENT if not status.startswith("5.7."):
            return EmailMailboxUnavailable
        case Phase.DATA if status.startswith("5.2."):
            return EmailMailboxUnavailable
        case _:
            return EmailContentRejected

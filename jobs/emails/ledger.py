"""What is written down of each mail, so that it goes out once in effect."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class SendState(StrEnum):
    """Where a message stands in the ledger of sent mails."""

    INTENT = "intent"
    """To be sent; nothing has gone out, or what went out was refused for now."""
    SENDING = "sending"
    """Claimed: it may have gone out."""
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """It may have gone out: its answer was lost, or its worker died while sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One message in the ledger."""

    key: str
    run_id: str
    """The run of the job that claimed it."""
    message_id: str
    state: SendState
    claims: int
    """How often it was claimed; the token of compare-and-set."""
    smtp_code: int | None = None
    smtp_text: str = ""
    error: str = ""
    """Class name of the refusal."""
    updated_at: datetime


class SuppressionReason(StrEnum):
    """Why an address is not written to."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    """Stops bulk mail only."""
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger knows before a message is sent."""

    entry: LedgerEntry | None
    suppressed: SuppressionReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetStanding:
    """Whether a password-reset link is worth mailing."""

    usable: bool
    """Neither used nor replaced by a newer one."""
    expires_at: datetime


class SmtpAnswer(NamedTuple):
    """A relay's answer to a message that it took."""

    code: int
    text: str

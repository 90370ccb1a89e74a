"""A message as one attempt finds it: who is written to, and what earlier attempts came to."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from jobs.emails import (
    EMAIL,
    MAX_CLAIMS,
    REFUSALS,
    Delivery,
    Email,
    EmailReceipt,
    EmailRefused,
    LedgerEntry,
    SendState,
)
from jobs.templates import Category, OnUnknown
from jobs.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message on its way, as this attempt sees it."""

    job: Email
    key: str
    """Of the ledger: the job and what it is to say, not the run or the attempt."""
    job_id: str
    run_id: str
    attempt: int
    now: datetime
    expires_at: datetime
    to: str
    address_hash: str
    user: User | None

    @property
    def message_seed(self) -> str:
        """Of the Message-ID, the same at every attempt."""
        return digest(self.job_id, self.run_id)

    @property
    def list_name(self) -> str | None:
        """The list of a bulk mail."""
        template = self.job.mail_template
        return template.name if template.category is Category.BULK else None


def digest(job_id: str, what: str) -> str:
    """Return 32 hexadecimal digits for a part of a job."""
    return hashlib.sha256(f"{job_id}\n{what}".encode()).hexdigest()[:32]


def settled_or_stale(draft: Draft, entry: LedgerEntry | None) -> LedgerEntry | None:
    """Return what an earlier claim still means, or None if the message is to be sent.

    The claim of another run counts as long as the job id is kept: while a completed job would be
    returned for this submission, and while a failed one could be run anew.
    """
    if entry is None:
        return None
    age = draft.now - entry.updated_at
    if entry.run_id != draft.run_id:
        match entry.state:
            case SendState.SENT if age < EMAIL.retention.completed:
                return entry
            case SendState.SENDING | SendState.UNKNOWN if age < EMAIL.retention.failed:
                return entry
            case _:
                return None
    return entry


def outcome(draft: Draft, entry: LedgerEntry | None) -> EmailReceipt | None:
    """Return the result of a message that has been dealt with, or None if it is to be sent.

    Raises:
        EmailRefused: it was refused for good.
    """
    if entry is None:
        return None
    match entry.state:
        case SendState.REFUSED:
            cls = REFUSALS.get(entry.error, EmailRefused)
            said = f"the relay answered {entry.smtp_code} {entry.smtp_text} at an earlier attempt"
            raise cls(said).answered(entry.smtp_code or 0, entry.smtp_text)
        case SendState.SENT:
            delivery = Delivery.SENT
        case SendState.UNKNOWN if draft.job.policy is OnUnknown.HOLD or entry.claims >= MAX_CLAIMS:
            delivery = Delivery.UNKNOWN
        case _:
            return None
    return EmailReceipt(
        delivery=delivery,
        message_id=entry.message_id,
        smtp_code=entry.smtp_code,
        smtp_text=entry.smtp_text,
    )

"""Held jobs: why one waits for ``release``, and who is told.

A job is held by a person, or by itself when a step fails in a way that ``JobKind.hold_on`` names:
no further attempt would help until somebody has mended something. The hold lies in the job's memo,
so that the server's description tells it also while no worker lives.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from jobs.addresses import MailAddress
from jobs.base import Contract

MEMO_HOLD: Final = "hold"
"""Memo field with the job's ``Hold``, from the asking until the release."""

ALERT_WORKFLOW: Final = "AlertOfHold"
ALERT_LASTS: Final = timedelta(days=1)
"""After this the next job that is held for the same cause raises another alert."""
LOOK_INTERVAL: Final = timedelta(minutes=15)
"""How often an alert looks whether a job is still held for its cause."""


class Hold(Contract):
    """Why a job waits."""

    reason: str
    since: datetime
    error: str | None = None
    """Type of the error that held the job; null where a person did."""
    step: str | None = None
    """Summary of the step that failed."""


class HoldCause(Contract):
    """What an alert is about: the first job that was held for a cause."""

    error: str
    """Type of the error; one alert for each."""
    message: str
    job_id: str
    since: datetime


class AlertRecipients(Contract):
    """Whom alerts are mailed to."""

    to: Annotated[tuple[MailAddress, ...], Field(max_length=20)] = ()


class HeldCount(Contract):
    """How many jobs are held for a cause."""

    count: int


def alert_id(error: str) -> str:
    """Return the workflow id of the alert of a cause, which makes sure that there is one."""
    return f"alert-held-{error}"

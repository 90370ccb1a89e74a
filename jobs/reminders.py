"""Reminder jobs: an email at a local time in the receiver's zone.

Queue ``emails``; attempts as ``email``. The due instant is resolved at submission and the job
starts delayed, so that a waiting reminder costs no worker anything and is moved, cancelled or sent
now like any delayed job. A local time that a change of the clocks skips is shifted forward by the
gap; one that occurs twice means the first.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    JsonValue,
    NaiveDatetime,
    ValidationInfo,
    field_validator,
    model_validator,
)

from jobs import templates
from jobs.base import JobKind, Personal, Queue
from jobs.emails import (
    HOLD_ON,
    MAX_VARIABLES,
    SEND,
    Email,
    EmailReceipt,
    Message,
    check_template,
    recipient_summary,
)
from jobs.errors import InvalidInputError, Problem
from jobs.periods import zone
from jobs.templates import Text

FURTHEST: Final = timedelta(days=5 * 366)
MESSAGE_TEMPLATE: Final = "reminder"


def check_zone(name: str) -> str:
    """Return ``name`` if it is a zone's; raises ``ValueError`` with the fix."""
    return zone(name).key


class IfPast(StrEnum):
    """What to do with a reminder whose time has passed when it is submitted."""

    SEND = "send"
    """Send it at once."""
    REJECT = "reject"
    """Refuse it."""
    SKIP = "skip"
    """Refuse it too: nothing is started for it."""


class Reminder(Message):
    """An email to send at a time."""

    message: Annotated[Text | None, Personal] = None
    """What to remind of. Give this, or ``template`` with ``data``."""
    template: str | None = None
    """A mail template in place of a plain message."""
    data: Annotated[dict[str, JsonValue], Field(max_length=MAX_VARIABLES), Personal] = Field(
        default_factory=dict, validate_default=True
    )
    """The template's variables."""
    send_at: AwareDatetime | None = None
    """When, with offset. Give this, or ``local_time`` with ``time_zone``."""
    local_time: NaiveDatetime | None = None
    """When, as a clock in ``time_zone`` shows it."""
    time_zone: Annotated[str, AfterValidator(check_zone)] | None = None
    """IANA name, such as Europe/Berlin."""
    if_past: IfPast = IfPast.SEND
    """What to do if that time has passed already."""

    @field_validator("template")
    @classmethod
    def _known_template(cls, name: str | None) -> str | None:
        if name is None:
            return None
        if templates.find(check_template(name)).reset_link:
            msg = f"template {name!r} answers a request and can't be a reminder"
            raise ValueError(msg)
        return name

    @field_validator("data")
    @classmethod
    def _fit_template(
        cls, data: dict[str, JsonValue], info: ValidationInfo
    ) -> dict[str, JsonValue]:
        template = templates.TEMPLATES.get(info.data.get("template") or "")
        if template is not None:
            directory = info.data.get("user_id") is not None
            templates.check_variables(template, data, directory=directory)
        return data

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.message is None) == (self.template is None):
            msg = "give one of 'message' and 'template'"
            raise ValueError(msg)
        if self.message is not None and self.data:
            msg = "'data' are the variables of a 'template'; a 'message' has none"
            raise ValueError(msg)
        if (self.send_at is None) == (self.local_time is None):
            msg = "give one of 'send_at' (with offset) and 'local_time' (with 'time_zone')"
            raise ValueError(msg)
        if (self.local_time is None) != (self.time_zone is None):
            msg = "'local_time' and 'time_zone' go together"
            raise ValueError(msg)
        try:
            self.instant  # noqa: B018 (raises for the first and last day that there are)
        except OverflowError:
            msg = "the time is out of range"
            raise ValueError(msg) from None
        return self

    @property
    def instant(self) -> datetime:
        """The instant it names, in UTC."""
        if self.send_at is not None:
            return self.send_at.astimezone(UTC)
        assert self.local_time is not None  # noqa: S101 (the contract has one of the two)
        return resolve(self.local_time, self.time_zone or "UTC")

    def email(self) -> Email:
        """Return the mail to send."""
        what: dict[str, Any]
        if self.message is not None:
            what = {"template": MESSAGE_TEMPLATE, "data": {"message": self.message}}
        else:
            what = {"template": self.template, "data": self.data}
        who = {"to": self.to, "user_id": self.user_id, "locale": self.locale}
        return Email.model_validate({**who, **what})


class ReminderReceipt(EmailReceipt):
    """What became of the mail, and when it was due."""

    due_at: datetime
    """The instant that the input names, or the one that the reminder was moved to."""


def resolve(local_time: datetime, time_zone: str) -> datetime:
    """Return the instant in UTC at which clocks of a zone show ``local_time``.

    A time that the clocks skip is moved forward by the gap (02:30 to 03:30); of a time that they
    show twice, the first is meant.
    """
    return local_time.replace(tzinfo=zone(time_zone), fold=0).astimezone(UTC)


def due_at(reminder: Reminder, now: datetime) -> datetime | None:
    """Return when a reminder is to be sent, or None for at once.

    Raises:
        InvalidInputError: the time has passed and the reminder says not to send it then, or it is
            more than five years ahead.
    """
    field = "send_at" if reminder.send_at is not None else "local_time"
    due = reminder.instant
    if due > now + FURTHEST:
        raise InvalidInputError([Problem(field, "is more than five years ahead")])
    if due > now:
        return due
    if reminder.if_past is IfPast.SEND:
        return None
    message = (
        f"was at {due:%Y-%m-%d %H:%M} UTC, which has passed; 'if_past' is "
        f"{reminder.if_past.value!r}: give a later time, or if_past=send"
    )
    raise InvalidInputError([Problem(field, message)])


def summarize(reminder: Reminder) -> str:
    """Return the line that the Web UI shows."""
    due = f"{reminder.instant:%Y-%m-%d %H:%M} UTC"
    return f"reminder to {recipient_summary(reminder)}, first set for {due}"


REMINDER: Final = JobKind(
    name="reminder",
    workflow="SendReminder",
    input=Reminder,
    result=ReminderReceipt,
    queue=Queue.EMAILS,
    deadline=timedelta(days=8),
    steps={"emails.send": SEND},
    hold_on=HOLD_ON,
    due=due_at,
    summarize=summarize,
    example={
        "user_id": "ada",
        "message": "The report for the board is due tomorrow.",
        "local_time": "2026-12-01T09:00:00",
        "time_zone": "Europe/Berlin",
    },
)

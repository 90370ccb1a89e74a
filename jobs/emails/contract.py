"""The email contract: input, result, and how its one step is tried."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    Field,
    JsonValue,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs import base, templates
from jobs.addresses import Locale, MailAddress
from jobs.base import (
    NEVER_RETRIED,
    Contract,
    Identifier,
    JobKind,
    Personal,
    Queue,
    StoredFile,
)
from jobs.emails.errors import STOPS_ALL_MAIL
from jobs.templates import MailTemplate, OnUnknown

MAX_ATTACHMENTS: Final = 10
MAX_ATTACHMENT_BYTES: Final = 10 * 1024 * 1024
"""Of all attachments of a mail together; many relays refuse more."""
MAX_VARIABLES: Final = 50
MAX_SMTP_TEXT: Final = 200

SMTP_DEADLINE: Final = timedelta(seconds=420)
"""Longest that one mail takes on the wire; shorter than the step's own limit, so that no attempt
is still sending when the next begins."""


class Delivery(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    """The relay took it."""
    SUPPRESSED = "suppressed"
    """Not sent: the address bounced, complained or unsubscribed."""
    EXPIRED = "expired"
    """Not sent: it would have arrived too late to be of use."""
    UNKNOWN = "unknown"
    """It went out and the relay's answer was lost; not sent again."""


NOTES: Final = {
    Delivery.SUPPRESSED: "not sent: the address bounced, complained or unsubscribed",
    Delivery.EXPIRED: "not sent: it would have come too late to be of use",
    Delivery.UNKNOWN: "it may have gone out: the relay's answer was lost, or the worker died while "
    "it was sending. It is not sent again; submit it under another id to send it all the same",
}


class Message(Contract):
    """What to send and to whom; the part that ``email`` and ``reminder`` share."""

    to: Annotated[MailAddress | None, Personal] = None
    """The address. Give this or ``user_id``."""
    user_id: Identifier | None = None
    """Someone in the directory of users, who supplies address, name and locale."""
    locale: Locale | None = None
    """Language of the mail. Default: the user's, else English."""

    @model_validator(mode="after")
    def _one_recipient(self) -> Self:
        if (self.to is None) == (self.user_id is None):
            msg = "give one of 'to' and 'user_id'"
            raise ValueError(msg)
        return self


def check_template(name: str) -> str:
    """Return ``name`` if it is a template's; raises ``ValueError`` with the nearest."""
    return templates.find(name).name


class Email(Message):
    """One message to send."""

    template: str = Field(examples=["welcome"])
    """Which mail: ``welcome``, ``password-reset``, ``notification``, or one that you added."""
    request_id: Identifier | None = None
    """Id of the password-reset request, from which the mail's link is derived."""
    data: Annotated[dict[str, JsonValue], Field(max_length=MAX_VARIABLES), Personal] = Field(
        default_factory=dict, validate_default=True
    )
    """The template's variables."""
    attachments: list[StoredFile] = Field(default_factory=list, max_length=MAX_ATTACHMENTS)
    """Keys of stored files, 10 MiB together."""
    expires_at: AwareDatetime | None = None
    """After this the mail is not sent. Default: the template's lifetime."""
    on_unknown: OnUnknown | None = None
    """What to do when the relay's answer was lost. Default: the template's policy."""

    _known_template = field_validator("template")(check_template)

    @field_validator("data")
    @classmethod
    def _fit_template(
        cls, data: dict[str, JsonValue], info: ValidationInfo
    ) -> dict[str, JsonValue]:
        template = templates.TEMPLATES.get(info.data.get("template", ""))
        if template is not None:
            directory = info.data.get("user_id") is not None
            templates.check_variables(template, data, directory=directory)
        return data

    @model_validator(mode="after")
    def _reset_has_request(self) -> Self:
        if self.mail_template.reset_link and self.request_id is None:
            msg = f"template {self.template!r} needs 'request_id', the id of the request it answers"
            raise ValueError(msg)
        return self

    @property
    def mail_template(self) -> MailTemplate:
        """The template and how its mails are treated."""
        return templates.find(self.template)

    @property
    def policy(self) -> OnUnknown:
        """What to do when the relay's answer was lost."""
        return self.on_unknown or self.mail_template.on_unknown


class EmailReceipt(Contract):
    """What became of the message; never its body, which may hold a secret link."""

    delivery: Delivery
    message_id: str
    smtp_code: int | None = None
    """The relay's last answer."""
    smtp_text: str = ""

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation writes it
    @property
    def note(self) -> str:
        """What it means that the mail was not plainly sent, and what can be done; else empty."""
        return NOTES.get(self.delivery, "")


WAITS_WHEN_GREYLISTED: Final = (timedelta(minutes=5), timedelta(minutes=15))
"""After the first and each further attempt of a round."""
WAITS_BETWEEN_ROUNDS: Final = (timedelta(hours=1), timedelta(hours=4))
"""Before the second and each further round of attempts, where the relay says "later"."""
MAX_CLAIMS: Final = 3
"""How often a message may go out under the policy ``resend``."""

SEND: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=450),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=15),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

HOLD_ON: Final = base.HOLD_ON | STOPS_ALL_MAIL | {"MailTemplateMissing"}
"""Errors after which nothing is sent until somebody has mended relay, settings or template."""


def recipient_summary(message: Message) -> str:
    """Return whom a mail is for, without an address."""
    return f"user {message.user_id}" if message.user_id else "an address"


def summarize(job: Email) -> str:
    """Return the line that the Web UI shows."""
    return f"mail **{job.template}** to {recipient_summary(job)}"


EMAIL: Final = JobKind(
    name="email",
    workflow="SendEmail",
    input=Email,
    result=EmailReceipt,
    queue=Queue.EMAILS,
    deadline=timedelta(days=8),
    steps={"emails.send": SEND},
    hold_on=HOLD_ON,
    max_files_bytes=MAX_ATTACHMENT_BYTES,
    summarize=summarize,
    example={"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}},
)

"""Mailing jobs: one template to a list of up to a million recipients, each at most once.

Queue ``emails``. The list becomes a file in storage, which is sent in chunks over the pooled
connections; the ledger has a row per recipient, so that a mailing that was killed, cancelled or
failed goes on where it was when it is submitted again.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from jobs import templates
from jobs.addresses import Locale
from jobs.base import NEVER_RETRIED, Contract, Identifier, JobKind, Personal, Queue, StoredFile
from jobs.emails import HOLD_ON, MAX_VARIABLES, Message, check_template
from jobs.errors import PermanentError
from jobs.templates import MailTemplate, OnUnknown

MAX_INLINE: Final = 1000
MAX_RECIPIENTS: Final = 1_000_000
CHUNK: Final = 500
"""Recipients of one step."""

WAITS_FOR_DEFERRED: Final = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
)
"""Before each further pass over those whose server said "later"."""


class RecipientQuery(StrEnum):
    """Lists that the database makes."""

    ALL_USERS = "all-users"
    """Everyone in the directory of users."""


class Recipient(Message):
    """One entry of a list: an address or a user id, and variables of their own."""

    data: dict[str, JsonValue] = Field(default_factory=dict, max_length=MAX_VARIABLES)
    """Added to the mailing's variables, and stronger than these."""


def read_recipient(value: Any) -> Any:
    """Read ``ada@example.com`` and ``ada`` as entries of a list."""
    if not isinstance(value, str):
        return value
    return {"to": value} if "@" in value else {"user_id": value}


class Mailing(Contract):
    """One template to many."""

    template: str = Field(examples=["newsletter"])
    """Which mail."""
    data: Annotated[dict[str, JsonValue], Field(max_length=MAX_VARIABLES), Personal] = Field(
        default_factory=dict
    )
    """Variables that all recipients share."""
    recipients: Annotated[
        list[Annotated[Recipient, BeforeValidator(read_recipient)]] | None,
        Field(min_length=1, max_length=MAX_INLINE),
        Personal,
    ] = None
    """Up to 1,000 entries: addresses, user ids, or ``{"to" or "user_id", "data", "locale"}``. Give
    this, ``recipients_source`` or ``query``."""
    recipients_source: StoredFile | None = None
    """A stored file with one such entry a line, in JSON."""
    query: RecipientQuery | None = None
    """A list that the database makes."""
    locale: Locale | None = None
    """Language for those who have none of their own. Default: English."""
    list_name: Identifier | None = None
    """What an unsubscription is from. Default: the template's name."""
    on_unknown: OnUnknown | None = None
    """What to do where the relay's answer was lost. Default: the template's policy."""

    @field_validator("template")
    @classmethod
    def _known_template(cls, name: str) -> str:
        if templates.find(check_template(name)).reset_link:
            msg = f"template {name!r} answers a request and can't be a mailing"
            raise ValueError(msg)
        return name

    @field_validator("recipients")
    @classmethod
    def _can_be_filled(
        cls, recipients: list[Recipient] | None, info: ValidationInfo
    ) -> list[Recipient] | None:
        template = templates.TEMPLATES.get(info.data.get("template", ""))
        if template is not None and "data" in info.data:
            for index, recipient in enumerate(recipients or ()):
                check_entry(template, info.data["data"], recipient, index)
        return recipients

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        given = (self.recipients, self.recipients_source, self.query)
        if sum(source is not None for source in given) != 1:
            msg = "give one of 'recipients', 'recipients_source' and 'query'"
            raise ValueError(msg)
        return self

    @property
    def mail_template(self) -> MailTemplate:
        """The template and how its mails are treated."""
        return templates.find(self.template)


def check_entry(
    template: MailTemplate, shared: dict[str, Any], recipient: Recipient, index: int
) -> None:
    """Raise ``ValidationError``, located at the entry, unless the template can be filled for it."""
    try:
        directory = recipient.user_id is not None
        templates.check_variables(template, {**shared, **recipient.data}, directory=directory)
    except ValidationError as error:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("entry", "{problem}", {"problem": detail["msg"]}),
                loc=(index, "data", *detail["loc"]),
                input=None,
            )
            for detail in error.errors(include_url=False, include_context=False)
        ]
        raise ValidationError.from_exception_data("recipients", problems) from None


class Outcome(StrEnum):
    """What became of one recipient's mail."""

    SENDING = "sending"
    """Claimed; of a mailing that is not running: unknown."""
    SENT = "sent"
    SUPPRESSED = "suppressed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """It may have gone out: its answer was lost, or its worker died while sending."""
    DEFERRED = "deferred"
    """The receiver's server said "later", to the end."""
    INVALID = "invalid"
    """The entry is none: not JSON, no address, unknown user, a variable missing."""
    DUPLICATE = "duplicate"
    """The same address stands further up in the list."""


class MailingResult(Contract):
    """Counts by outcome, and where to read each."""

    total: int
    sent: int = 0
    suppressed: int = 0
    refused: int = 0
    unknown: int = 0
    deferred: int = 0
    invalid: int = 0
    duplicate: int = 0
    outcomes: str
    """Key of a stored file with a line of JSON per recipient, in the order of the list."""


class Prepared(Contract):
    """A list, ready to be sent in chunks."""

    mailing: str
    """Key of the mailing in the ledger."""
    source: str
    """Key of the stored list."""
    total: int
    chunk: int
    """Entries of a chunk."""
    offsets: list[int]
    """Where each chunk begins in the stored list, in bytes."""


class Chunk(Contract):
    """One stretch of the list, and what all its mails share."""

    mailing: str
    source: str
    offset: int
    position: int
    """Of its first entry in the list, from 0."""
    count: int
    template: str
    data: dict[str, JsonValue]
    locale: str
    list_name: str
    on_unknown: OnUnknown


class ChunkResult(Contract):
    """What a pass over a chunk left to do."""

    deferred: int = 0


class Carried(Contract):
    """What a mailing takes along when it continues as new, to keep its history short."""

    prepared: Prepared
    next_chunk: int = 0
    deferred: list[int] = Field(default_factory=list)
    """Chunks that have recipients whose server said "later"."""


class MailingJob(Mailing):
    """A mailing as its workflow takes it: what was submitted, or a later run of the same job."""

    carried: Carried | None = None


class Address(NamedTuple):
    """Where a user can be written to."""

    email: str
    name: str
    locale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingEntry:
    """One recipient in the ledger."""

    address_hash: str
    """Or, for an entry without usable address, its outcome and position."""
    position: int
    outcome: Outcome
    claims: int = 0
    smtp_code: int | None = None
    smtp_text: str = ""


class RecipientsTooMany(PermanentError):
    """The list has more than a million entries."""


class RecipientsMissing(PermanentError):
    """The list is not in storage, or empty."""


def _step(limit: timedelta, attempts: int) -> ActivityConfig:
    return ActivityConfig(
        start_to_close_timeout=limit,
        heartbeat_timeout=timedelta(seconds=15),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=5),
            backoff_coefficient=2,
            maximum_interval=timedelta(minutes=15),
            maximum_attempts=attempts,
            non_retryable_error_types=NEVER_RETRIED,
        ),
    )


PREPARE: Final = _step(timedelta(minutes=30), 5)
SEND_CHUNK: Final = _step(timedelta(hours=2), 100)
"""A relay that is away for a day is waited for."""
FINISH: Final = _step(timedelta(minutes=30), 5)


def summarize(mailing: Mailing) -> str:
    """Return the line that the Web UI shows."""
    if mailing.recipients is not None:
        whom = f"{len(mailing.recipients)} recipients"
    else:
        whom = mailing.recipients_source or f"query {mailing.query}"
    return f"mailing **{mailing.template}** to {whom}"


MAILING: Final = JobKind(
    name="mailing",
    workflow="SendMailing",
    input=Mailing,
    result=MailingResult,
    queue=Queue.EMAILS,
    deadline=timedelta(days=7),
    steps={
        "mailings.prepare": PREPARE,
        "mailings.send_chunk": SEND_CHUNK,
        "mailings.finish": FINISH,
    },
    hold_on=HOLD_ON,
    summarize=summarize,
    example={
        "template": "newsletter",
        "data": {"title": "What is new", "paragraphs": ["Reminders can now be moved."]},
        "recipients": ["ada", "grace", "alan@example.com"],
    },
)

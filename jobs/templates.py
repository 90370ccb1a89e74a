"""The mail templates: what each needs, and how its mails are treated.

A template of your own is three things: a model and an entry here, ``templates/mail/en/<name>.mjml``
for HTML and ``templates/mail/en/<name>.txt`` for text, whose first line is the subject. Other
languages lie beside ``en`` and are optional.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from jobs.base import Contract
from jobs.validation import nearest

LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class Category(StrEnum):
    """What kind of mail it is, for the list of suppressed addresses and for headers."""

    TRANSACTIONAL = "transactional"
    """Someone's act asked for it; an unsubscription does not stop it."""
    BULK = "bulk"
    """Carries List-Unsubscribe."""


class OnUnknown(StrEnum):
    """What to do with a mail that may or may not have been delivered: its answer was lost."""

    HOLD = "hold"
    """Don't send it again; the job says ``delivery: unknown``."""
    RESEND = "resend"
    """Send it again under the same Message-ID: a second copy does no harm."""


def check_link(url: str) -> str:
    """Return ``url`` if a mail may link to it."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or not url.isprintable() or " " in url:
        msg = "write a link that begins with https://"
        raise ValueError(msg)
    return url


def check_one_line(text: str) -> str:
    """Return ``text`` if it can stand in a subject."""
    if not text.isprintable():
        msg = "must be one line without control characters"
        raise ValueError(msg)
    return text


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Link = Annotated[str, Field(max_length=2000), AfterValidator(check_link)]


class TemplateData(Contract):
    """The variables of a template; unlike other contracts, unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class Welcome(TemplateData):
    """``welcome``."""

    name: Line
    action_url: Link | None = None
    """Where the button leads. Default: the address in ``CONVEYOR_PUBLIC_URL``."""


class PasswordReset(TemplateData):
    """``password-reset``; the link is made by the job's step and is no variable."""

    name: Line


class Notification(TemplateData):
    """``notification``."""

    name: Line
    title: Line
    message: Text
    facts: dict[Line, Line] = Field(default_factory=dict, max_length=20)
    """Shown as a table of two columns."""
    action_url: Link | None = None
    action_label: Line | None = None


class ReminderMessage(TemplateData):
    """``reminder``, the template of a reminder that has a ``message``."""

    name: Line | None = None
    message: Text


class Newsletter(TemplateData):
    """``newsletter``."""

    name: Line | None = None
    title: Line
    paragraphs: list[Text] = Field(min_length=1, max_length=20)
    action_url: Link | None = None
    action_label: Line | None = None


class ReportReady(TemplateData):
    """``report-ready``, sent by report jobs."""

    title: Line
    period: Line
    figures: dict[Line, Line] = Field(default_factory=dict, max_length=20)
    files: dict[Line, Link] = Field(default_factory=dict, max_length=10)
    """Label and link of each file."""
    chart: Line | None = None
    """File name of the attached picture that the mail shows."""
    chart_text: Line | None = None
    """What the picture shows, for those who don't see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTemplate:
    """One template and how its mails are treated."""

    name: str
    data: type[TemplateData]
    category: Category = Category.TRANSACTIONAL
    on_unknown: OnUnknown = OnUnknown.HOLD
    lifetime: timedelta = timedelta(hours=24)
    """How long a mail is worth sending, from the beginning of its job."""
    reset_link: bool = False
    """Carries a secret link, derived from the job's ``request_id`` when it is sent."""


TEMPLATES: Final[Mapping[str, MailTemplate]] = {
    template.name: template
    for template in (
        MailTemplate(name="welcome", data=Welcome),
        MailTemplate(
            name="password-reset",
            data=PasswordReset,
            on_unknown=OnUnknown.RESEND,
            lifetime=timedelta(minutes=30),
            reset_link=True,
        ),
        MailTemplate(name="notification", data=Notification, lifetime=timedelta(hours=6)),
        MailTemplate(name="reminder", data=ReminderMessage),
        MailTemplate(
            name="newsletter",
            data=Newsletter,
            category=Category.BULK,
            lifetime=timedelta(days=3),
        ),
        MailTemplate(name="report-ready", data=ReportReady, lifetime=timedelta(days=3)),
    )
}

FROM_DIRECTORY: Final = {"name": "Ada"}
"""Variables that the directory of users fills in for a ``user_id``, with a stand-in to check by."""


def find(name: str) -> MailTemplate:
    """Return the template; raises ``ValueError`` that names the nearest."""
    try:
        return TEMPLATES[name]
    except KeyError:
        msg = f"no template {name!r}; {nearest(name, list(TEMPLATES))}"
        raise ValueError(msg) from None


def check_variables(
    template: MailTemplate, variables: Mapping[str, Any], *, directory: bool = False
) -> None:
    """Raise ``ValidationError``, located in ``variables``, unless the template can be filled.

    Args:
        template: The template.
        variables: What the job gives.
        directory: Whether the directory of users adds what it knows.
    """
    fields = template.data.model_fields
    known = {name: value for name, value in FROM_DIRECTORY.items() if directory and name in fields}
    try:
        template.data.model_validate({**known, **variables})
    except ValidationError as error:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "template_variable",
                    "{problem}",
                    {"problem": _say(template, detail["type"], detail["loc"], detail["msg"])},
                ),
                loc=detail["loc"],
                input=None,
            )
            for detail in error.errors(include_url=False, include_context=False)
        ]
        raise ValidationError.from_exception_data(template.name, problems) from None


def _say(template: MailTemplate, kind: str, location: tuple[int | str, ...], message: str) -> str:
    match kind:
        case "missing":
            return f"is required by template {template.name!r}"
        case "extra_forbidden":
            hint = nearest(str(location[-1]), list(template.data.model_fields))
            return f"template {template.name!r} has no such variable; {hint}"
        case _:
            return message.removeprefix("Value error, ")

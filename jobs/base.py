"""What every job kind is made of: contracts, queues, and the one place that tells a kind's truth.

A web application imports this package to submit jobs; it brings pydantic and the Temporal SDK and
no library with side effects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from temporalio.workflow import ActivityConfig

MAX_INPUT_BYTES: Final = 128 * 1024
"""Largest canonical input of a job; larger data go to storage and the job gets their key."""

NEVER_RETRIED: Final = ["PayloadsTooLarge", "WorkerShutdown", "TemporalTimeout:Heartbeat"]
"""What the server must not retry by itself, for every step's ``RetryPolicy``.

``PayloadsTooLarge`` repeats for ever with the same result. The other two are no fault of the step:
they come back to the workflow, where ``JobWorkflow.step`` runs the step again without counting an
attempt. The last name is the server's spelling of a lost heartbeat.
"""

HOLD_ON: Final = frozenset(
    {"StorageDenied", "StorageFull", "DatabaseFull", "DatabaseOutdated", "EncryptionKeyMissing"}
)
"""Errors of any step after which a person must mend something before another attempt helps.

Instead of failing, the job is held with the error as the reason, and the step runs afresh after
``release``. A transient error (``DatabaseFull``) is first tried as often as the step allows.
"""

MEMO_NOTE: Final = "note"
"""Memo field in which a workflow says something that its log shall tell."""


class Queue(StrEnum):
    """The task queues; limits and slots are per queue."""

    EMAILS = "emails"
    IMAGES = "images"
    WEBHOOKS = "webhooks"
    REPORTS = "reports"
    TRANSFERS = "transfers"
    BATCHES = "batches"


class Contract(BaseModel):
    """What a job takes or gives: frozen, and tolerant of unknown fields once in a history.

    The doors refuse unknown fields (``jobs.validation``); a newer submitter must not break an older
    worker, so the wire does not.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Marks a field whose value is shown as ``***`` wherever a job's input is displayed."""


Personal: Final = PersonalData()


def check_key(key: str) -> str:
    """Return ``key`` if it can name a stored object; raise ``ValueError`` with the fix if not."""
    if any(part in {"", ".", ".."} for part in key.split("/")):
        msg = "a storage key has no empty, '.' or '..' part, and does not begin or end with '/'"
        raise ValueError(msg)
    return key


StoredFile = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._\-/@+=]+$",
        min_length=1,
        max_length=512,
        json_schema_extra={"format": "stored-file"},
    ),
    AfterValidator(check_key),
]
"""The key of an object in storage. ``starter.py`` uploads ``FIELD=@path`` and puts the key here."""

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$")]
"""A name or id without spaces, slashes or ``@``: no address can stand where an id belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a closed job can be looked at, by outcome; and how long what it gave is kept."""

    completed: timedelta = timedelta(hours=1)
    failed: timedelta = timedelta(hours=24)
    results: timedelta = timedelta(days=30)
    """Of files that the user asked for, counted from the newest one."""


InputT = TypeVar("InputT", bound=Contract)
ResultT = TypeVar("ResultT", bound=Contract)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency(Generic[InputT]):
    """How many jobs of a kind with one key work at once, over all workers (``workflows.places``).

    Part of what a workflow decides: a change counts as one of the workflow's code.
    """

    key: Callable[[InputT], str | None]
    """A job without a key waits for nobody. Stands in an id, so it is no secret and no address."""
    limit: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind(Generic[InputT, ResultT]):
    """The operational truth of one kind of job."""

    name: str
    """What people type: ``email``. Also the first part of every job id of the kind."""
    workflow: str
    """The workflow type, part of every history: never renamed."""
    input: type[InputT]
    result: type[ResultT]
    queue: Queue
    deadline: timedelta
    """The workflow's ``execution_timeout``; the wait for a delayed start is not counted."""
    steps: Mapping[str, ActivityConfig]
    """Timeouts and retry policy of each step, by activity name."""
    retention: Retention = field(default_factory=Retention)
    hold_on: frozenset[str] = HOLD_ON
    """Types of errors that hold the job instead of failing it. They decide what a workflow does
    next, so a change counts as one of the workflow's code."""
    concurrency: Concurrency[InputT] | None = None
    """For kinds of which not all jobs may work side by side."""
    due: Callable[[InputT, datetime], datetime | None] | None = None
    """When the job begins, for kinds whose input says so: given the input and the present instant,
    an aware instant or ``None`` for at once. Raises ``InvalidInputError``."""
    max_files_bytes: int | None = None
    """Of all stored files that an input names together; checked at the door."""
    summarize: Callable[[InputT], str]
    """One line about a job for the Web UI, in Markdown; holds no personal data."""
    example: Mapping[str, Any]
    """An input that works as it stands (``starter.py kinds KIND --example``)."""

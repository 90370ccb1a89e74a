"""What an explanation is made of: what is known of a job, and what is said of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from jobs.base import Contract
from jobs.client.queues import QueueStatus
from jobs.holds import Hold
from jobs.status import JobFailure, JobState, JobStatus


class Reason(StrEnum):
    """Why a job is where it is."""

    DELAYED = "delayed"
    NO_WORKER = "no_worker"
    QUEUE_PAUSED = "queue_paused"
    QUEUE_LIMITED = "queue_limited"
    QUEUE_BUSY = "queue_busy"
    NEXT = "next"
    RUNNING = "running"
    BETWEEN_STEPS = "between_steps"
    RETRY_DUE = "retry_due"
    NOT_YET_DUE = "not_yet_due"
    ENDPOINT_WAITS = "endpoint_waits"
    ROUND_DUE = "round_due"
    WAITS_FOR_JOBS = "waits_for_jobs"
    WAITS_FOR_PLACE = "waits_for_place"
    HELD = "held"
    PAUSED = "paused"
    STUCK = "stuck"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class Explanation(Contract):
    """Why a job is where it is, in a sentence and in fields."""

    id: str
    state: JobState
    reason: Reason
    text: str
    """The sentence."""
    advice: str | None = None
    """What can be done about it."""
    since: datetime | None = None
    until: datetime | None = None
    """When it goes on by itself, as far as that is known."""
    deadline: datetime | None = None
    """When the job is ended if it is not done, also while it waits or is held."""
    queue: str | None = None
    ahead: int | None = None
    """About how many others wait on the queue before it."""
    author: str | None = None
    """Who paused, limited, cancelled or terminated."""
    error: JobFailure | None = None
    attempt: int | None = None
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that a person did: a pause, a cancel, a termination."""

    at: datetime
    author: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """Who and why, as the end of a sentence."""
        author = f" by {self.author}" if self.author else ""
        return f"{author} because {quoted(self.reason)}" if self.reason else author


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The step that a job is at."""

    name: str
    place: str
    """``2of4``; empty where the job has no such order."""
    since: datetime | None = None
    waits: bool = False
    """Whether no worker has it."""
    due: datetime | None = None
    """When its next attempt is."""
    paused: Act | None = None

    @property
    def words(self) -> str:
        """The step as sentences name it."""
        number, of, count = self.place.partition("of")
        return f"step {self.name!r}" + (f" ({number} of {count})" if of else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a job."""

    job: JobStatus
    now: datetime
    deadline: datetime | None = None
    queue: QueueStatus | None = None
    """Of the queue whose worker it waits for."""
    step: Step | None = None
    hold: Hold | None = None
    """Under which it is, or will be before its next step."""
    stuck: JobFailure | None = None
    """How its workflow code fails; ``attempt`` counts the tries."""
    paused: Act | None = None
    ended: Act | None = None
    timer: tuple[datetime, str] | None = None
    """Until when it sleeps, and what for."""
    waits_for: tuple[str, ...] = ()
    """Open jobs that it started."""
    place: str = ""
    """Who has the places of which it wants one, in words."""
    before: JobFailure | None = None
    """How its last attempt failed that is over."""


def say(
    facts: Facts, reason: Reason, text: str, advice: str | None = None, **more: object
) -> Explanation:
    """Return an explanation of the job that ``facts`` are of."""
    job = facts.job
    said = Explanation(id=job.id, state=job.state, reason=reason, text=text, advice=advice)
    return said.model_copy(update=more)


def at(instant: datetime | None) -> str:
    """Return an instant as sentences name it."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if instant else "an unknown time"


def named(error: JobFailure) -> str:
    """Return an error as the end of a clause."""
    return f"{error.type}: {error.message}".rstrip(" .:")


def sentence(text: str) -> str:
    """Return ``text`` with one full stop at its end."""
    return f"{text.rstrip(' .')}."


def quoted(text: str) -> str:
    """Return what a person wrote, as a quotation."""
    return f"“{text.rstrip(' .')}”"

"""Delivery jobs: one event to one endpoint, tried over days, at least once.

Queue ``webhooks``. The endpoint's schedule says when (eleven attempts over 76 h by default); each
attempt is one run of the step ``deliveries.attempt``, and what the receiver answered is its result,
no exception. The wait before an attempt is the step's own: it begins by raising ``NotYetDue`` with
the time that is left, so that the server keeps the time, ``status`` shows when the next attempt is
and why, and an attempt with its wait costs six events of history. What is not the receiver's doing
(database away, circuit open, endpoint busy) waits in the same way and uses up no attempt.

A worker lost between sending and recording sends again with the same ``webhook-id``.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from jobs.base import NEVER_RETRIED, Contract, Identifier, JobKind, Queue
from jobs.endpoints import DEFAULT_SCHEDULE, MAX_DELAY
from jobs.errors import PermanentError, TransientError

JITTER: Final = 0.1
"""Each wait is up to this share shorter or longer."""
KEPT: Final = timedelta(days=30)
"""How long deliveries and their attempts can be read."""
MAX_ORDERED_QUEUE: Final = 1_000
"""Deliveries that may wait in an ordered endpoint's queue; further events are not delivered."""
RESPONSE_BYTES: Final = 4_096
"""Read of an answer."""
LOGGED_BYTES: Final = 1_024
"""Kept of it."""


class NotYetDue(TransientError):
    """The attempt waits for its time."""


class EndpointWaiting(TransientError):
    """The endpoint takes no attempt now: its circuit is open, it asked for a pause, or is busy."""


class AttemptSuperseded(TransientError):
    """Another worker has taken the attempt over."""


class DeliveryExhausted(PermanentError):
    """Every attempt of the schedule failed."""


class EndpointGone(PermanentError):
    """The endpoint answered 410 and is disabled."""


class EndpointDisabled(PermanentError):
    """The endpoint is disabled or was removed."""


class EventUnknown(PermanentError):
    """There is no such event, or it is past its 30 days."""


class EndpointAddressRefused(PermanentError):
    """The endpoint's name leads into a private network."""


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERING = "delivering"
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ENDPOINT_DISABLED = "endpoint_disabled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the delivery."""
        return self not in {
            DeliveryState.PENDING,
            DeliveryState.DELIVERING,
            DeliveryState.WAITING,
        }


class DeliverWebhook(Contract):
    """One event to deliver to one endpoint."""

    event_id: Identifier
    """Of a published event; also the ``webhook-id`` that the receiver sees."""
    endpoint_id: Identifier
    schedule: list[Annotated[timedelta, Field(ge=timedelta(0), le=MAX_DELAY)]] = Field(
        default=list(DEFAULT_SCHEDULE), min_length=1, max_length=20
    )
    """The wait before each attempt."""


class Delivery(Contract):
    """How a delivery ended."""

    state: DeliveryState
    attempts: int = 0
    status: int | None = None
    """The last answer's HTTP status."""


class Attempt(Contract):
    """One attempt: what the step is told."""

    delivery_id: str
    run_id: str
    """Of the job: one that failed and is run again makes its attempts anew."""
    event_id: str
    endpoint_id: str
    number: int
    due_at: datetime | None = None
    """Not before this instant."""
    then: timedelta | None = None
    """How long after this attempt the next would be; null for the last."""
    forced: bool = False
    """A person asked for it now: an open circuit doesn't hold it up."""


class AttemptOutcome(Contract):
    """What an attempt came to."""

    state: DeliveryState
    status: int | None = None
    error: str | None = None
    """What went wrong, for the endpoint's owner."""
    error_type: str | None = None
    next_attempt_at: datetime | None = None
    notify: "Notice | None" = None
    repeated: bool = False
    """Told again, of an attempt that was recorded before."""


class NoticeKind(StrEnum):
    """Why an endpoint's user is mailed."""

    FAILING = "failing"
    DISABLED = "disabled"


class Notice(Contract):
    """A mail to an endpoint's user that is due with an attempt."""

    kind: NoticeKind
    user_id: str
    since: datetime
    """First failure of the series; makes the mail's job id, so that it goes out once."""


class Closing(Contract):
    """Says how a delivery ended that no attempt ended."""

    delivery_id: str
    state: DeliveryState
    error: str | None = None


ATTEMPT: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=10),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=10_000,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)
"""Nearly unlimited, since every wait is one of these attempts; the job's deadline bounds them."""

CLOSE: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=30,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

DELIVERY: Final = JobKind(
    name="delivery",
    workflow="DeliverWebhook",
    input=DeliverWebhook,
    result=Delivery,
    queue=Queue.WEBHOOKS,
    deadline=timedelta(days=30),
    steps={"deliveries.attempt": ATTEMPT, "deliveries.close": CLOSE},
    summarize=lambda job: f"deliver `{job.event_id}` to `{job.endpoint_id}`",
    example={"event_id": "event-0190b5a6", "endpoint_id": "ep_demo"},
)

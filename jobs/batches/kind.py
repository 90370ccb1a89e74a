"""The operational truth of batches."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.base import NEVER_RETRIED, JobKind, Queue, Retention
from jobs.batches.contract import Batch, BatchResult
from jobs.emails import HOLD_ON
from jobs.errors import PermanentError, TransientError

CHUNK: Final = 100
"""Items of one step."""


class BatchEmpty(PermanentError):
    """There is nothing to do: the list has no lines, or the batch to be retried no failed items."""


class BatchTooLong(PermanentError):
    """The list has more than a million lines, or a line is longer than an input may be."""


class BatchUnknown(PermanentError):
    """The batch to be retried is not in the ledger, still goes on, or is of another kind."""


class ItemsMissing(PermanentError):
    """The list is not in storage."""


class BatchStalled(TransientError):
    """The first items of a chunk all failed for now: what they need is away, not the items bad."""


BEAT: Final = timedelta(seconds=10)
PATIENT_BEAT: Final = timedelta(seconds=45)
"""Of steps that may stand still while they wait for the ledger: longer than it waits for a lock,
which a frozen worker can have."""


def _step(limit: timedelta, attempts: int, *, beat: timedelta | None = BEAT) -> ActivityConfig:
    options = ActivityConfig(
        start_to_close_timeout=limit,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2),
            backoff_coefficient=2,
            maximum_interval=timedelta(minutes=5),
            maximum_attempts=attempts,
            non_retryable_error_types=NEVER_RETRIED,
        ),
    )
    if beat is not None:
        options["heartbeat_timeout"] = beat
    return options


PREPARE: Final = _step(timedelta(hours=1), 10, beat=PATIENT_BEAT)
PERFORM: Final = _step(timedelta(hours=2), 100)
"""What the items need may be away for most of a day."""
READ: Final = _step(timedelta(minutes=2), 10, beat=None)
RECORD: Final = _step(timedelta(minutes=1), 20, beat=None)
FOLLOW: Final = _step(timedelta(days=1), 20)
FINISH: Final = _step(timedelta(minutes=30), 10, beat=PATIENT_BEAT)


def summarize(batch: Batch) -> str:
    """Return the line that the Web UI shows."""
    if batch.items is not None:
        return f"batch of {len(batch.items)} × **{batch.kind}**"
    if batch.retry_of is not None:
        return f"**{batch.kind}** again, where {batch.retry_of[:100]} failed"
    return f"batch of **{batch.kind}** from {str(batch.items_source)[-100:]}"


BATCH: Final = JobKind(
    name="batch",
    workflow="RunBatch",
    input=Batch,
    result=BatchResult,
    queue=Queue.BATCHES,
    deadline=timedelta(days=7),
    steps={
        "batches.prepare": PREPARE,
        "batches.perform": PERFORM,
        "batches.read": READ,
        "batches.record": RECORD,
        "batches.follow": FOLLOW,
        "batches.finish": FINISH,
    },
    hold_on=HOLD_ON,
    retention=Retention(completed=timedelta(hours=24), failed=timedelta(days=7)),
    summarize=summarize,
    example={
        "kind": "email",
        "items": [
            {"template": "welcome", "user_id": "ada"},
            {"template": "welcome", "user_id": "grace"},
        ],
    },
)

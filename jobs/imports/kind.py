"""The operational truth of imports."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from jobs.base import NEVER_RETRIED, Concurrency, JobKind, Queue, Retention
from jobs.imports.contract import ImportData, ImportResult

RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=5,
    non_retryable_error_types=NEVER_RETRIED,
)
INSPECT: Final = ActivityConfig(
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RETRIES,
)
LOAD: Final = ActivityConfig(
    start_to_close_timeout=timedelta(hours=6),
    heartbeat_timeout=timedelta(seconds=30),
    # A cancelled import says after which row it stopped, so its last chunk must be over.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RETRIES,
)
POSITION: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    retry_policy=RETRIES,
)
FINISH: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RETRIES,
)

IMPORT: Final = JobKind(
    name="import",
    workflow="ImportData",
    input=ImportData,
    result=ImportResult,
    queue=Queue.TRANSFERS,
    deadline=timedelta(hours=12),
    steps={
        "imports.inspect": INSPECT,
        "imports.load": LOAD,
        "imports.position": POSITION,
        "imports.finish": FINISH,
    },
    # Two files side by side in one table would wait for each other's rows, and the last one's rows
    # would not be those of the later job. A dry run writes nothing.
    concurrency=Concurrency(key=lambda job: None if job.dry_run else job.target),
    retention=Retention(completed=timedelta(hours=24), failed=timedelta(days=7)),
    summarize=lambda job: f"{'check' if job.dry_run else 'import'} `{job.source}` for {job.target}",
    example={"source": "examples/customers.csv", "target": "customers"},
)

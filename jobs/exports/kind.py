"""The operational truth of exports."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.base import NEVER_RETRIED, JobKind, Queue, Retention
from jobs.exports.contract import ExportData, ExportResult

WRITE: Final = ActivityConfig(
    start_to_close_timeout=timedelta(hours=4),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=5,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

TIDY: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_attempts=5,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

EXPORT: Final = JobKind(
    name="export",
    workflow="ExportData",
    input=ExportData,
    result=ExportResult,
    queue=Queue.TRANSFERS,
    deadline=timedelta(hours=8),
    steps={"exports.write": WRITE, "exports.tidy": TIDY},
    retention=Retention(completed=timedelta(hours=24), failed=timedelta(days=7)),
    summarize=lambda job: f"export {job.query} as {job.format}",
    example={"query": "orders", "parameters": {"status": "paid"}, "format": "csv"},
)

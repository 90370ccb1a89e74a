"""The metrics of our own: names, labels and units, in one place.

No label has more values than the code has names (kinds, steps, queues, types of errors): never a
job id, an owner, or anything that a submitter chooses. The page ``docs/operate/observe.md`` lists
them, and those of the Temporal SDK that stand beside them on a worker's endpoint.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jobs.kinds import KINDS_BY_WORKFLOW

SYSTEM: Final = "system"
"""Kind of workflows that no one submits."""

ERROR_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus shows it."""

    name: str
    """Without ``_total``, which the exporter adds to counters."""
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram."""


class Outcome(StrEnum):
    """How a job, or an attempt of a step, ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOBS_FINISHED: Final = Metric(
    "conveyor_jobs_finished", "Jobs that ended in a worker", ("kind", "outcome")
)
JOB_DURATION: Final = Metric(
    "conveyor_job_duration_seconds",
    "From the first turn of a job to its end, waiting for retries included",
    ("kind", "outcome"),
    "s",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 259200),
)
JOB_FAILURES: Final = Metric(
    "conveyor_job_failures", "Jobs that failed for good, by type of error", ("kind", "error")
)
STEP_ATTEMPTS: Final = Metric(
    "conveyor_step_attempts", "Attempts of steps that ended", ("kind", "step", "outcome")
)
STEP_FAILURES: Final = Metric(
    "conveyor_step_failures",
    "Attempts of steps that failed, by type of error",
    ("kind", "step", "error"),
)
STEP_WAIT: Final = Metric(
    "conveyor_step_wait_seconds",
    "How long an attempt waited in its queue for a worker, once it was due",
    ("kind", "queue"),
    "s",
    (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400),
)
QUEUE_WAITING: Final = Metric(
    "conveyor_queue_waiting", "Tasks that wait in a queue for a worker", ("queue",)
)
QUEUE_OLDEST: Final = Metric(
    "conveyor_queue_oldest_seconds", "Age of the oldest task that waits", ("queue",), "s"
)
QUEUE_POLLERS: Final = Metric(
    "conveyor_queue_pollers", "Workers that asked a queue for work lately", ("queue",)
)
QUEUE_PAUSED: Final = Metric("conveyor_queue_paused", "1 while a queue is paused", ("queue",))
JOBS_OPEN: Final = Metric("conveyor_jobs_open", "Jobs that have not ended", ("kind",))
SERVER_UP: Final = Metric(
    "conveyor_temporal_up", "1 while the Temporal server tells of its queues, else 0"
)

OF_JOBS: Final = (JOBS_FINISHED, JOB_DURATION, JOB_FAILURES)
OF_STEPS: Final = (STEP_ATTEMPTS, STEP_FAILURES, STEP_WAIT)
OF_QUEUES: Final = (
    QUEUE_WAITING,
    QUEUE_OLDEST,
    QUEUE_POLLERS,
    QUEUE_PAUSED,
    JOBS_OPEN,
    SERVER_UP,
)
ALL: Final = (*OF_JOBS, *OF_STEPS, *OF_QUEUES)


def kind_label(workflow: str | None) -> str:
    """Return the kind of a workflow type, as a label."""
    kind = KINDS_BY_WORKFLOW.get(workflow or "")
    return kind.name if kind else SYSTEM


def error_label(error: str | None) -> str:
    """Return a type of error as a label; what is no class name is ``other``."""
    return error if error and ERROR_NAME.fullmatch(error) else "other"

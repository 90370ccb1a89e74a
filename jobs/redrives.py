"""Redriving: every failed job that a filter matches goes on from its failed step.

A system workflow of its own, so that it survives the terminal it was started from. Queue
``batches``. It goes through the list page by page; a page's step is safe to repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.base import NEVER_RETRIED, Contract, Queue
from jobs.status import JobState, Progress

WORKFLOW: Final = "Redrive"
QUEUE: Final = Queue.BATCHES
DEADLINE: Final = timedelta(days=7)
PAGE_JOBS: Final = 500
MOST_PAGES: Final = 500
"""In one run of the workflow; what is left goes on in another."""
PAGE_TIME: Final = timedelta(minutes=10)
"""How long a page may take at a given rate: a slower rate has smaller pages."""

GO_ON: Final = ActivityConfig(
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=20,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

MEMO_COUNTS: Final = "redrive"
"""Memo field with the counts up to the last finished page."""
MEMO_ORDER: Final = "order"
"""Memo field with what was asked for: filter and rate."""


class RedriveFilter(Contract):
    """Which jobs: what is set must match. Those that failed or timed out, if no state is named."""

    kind: str | None = None
    state: JobState | None = None
    owner: str | None = None
    error: str | None = None
    tag: str | None = None
    """``key=value``."""
    since: datetime | None = None


class RedriveCounts(Contract):
    """How far a redrive is."""

    total: int = 0
    """Runs that matched when it began."""
    redriven: int = 0
    skipped: int = 0
    """Jobs that have gone on since they failed: retried, submitted again, deleted."""
    failed: int = 0
    """Jobs that could not be made to go on; the outcomes say why."""

    @property
    def done(self) -> int:
        """How many runs were dealt with."""
        return self.redriven + self.skipped + self.failed


class RedriveProgress(Progress):
    """What a page heartbeats."""

    counts: RedriveCounts = RedriveCounts()


class Redrive(Contract):
    """What to redrive, and for a run that goes on: where."""

    wanted: RedriveFilter
    before: datetime
    """Only runs that had ended by then, so that one that fails again is not redriven again."""
    rate: float | None = Field(default=None, gt=0)
    """Jobs a second; None for as fast as it goes."""
    counts: RedriveCounts = RedriveCounts()
    token: str | None = None
    """Where the next page begins; None for the first."""
    page: int = 0


class RedrivePage(Contract):
    """One page to redrive."""

    wanted: RedriveFilter
    before: datetime
    rate: float | None
    size: int
    counts: RedriveCounts
    token: str | None
    page: int


class PageRedriven(Contract):
    """What became of one page."""

    counts: RedriveCounts
    """Of all pages up to this one."""
    next_token: str | None


class Redriven(Contract):
    """What became of all jobs."""

    counts: RedriveCounts
    outcomes: str | None
    """Folder in storage with a line of JSON for each job; None where nothing matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """A run that ended badly, as the index has it."""

    job_id: str
    run_id: str
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRuns:
    """A page of them."""

    runs: Sequence[FailedRun]
    next_token: str | None


class Outcome(StrEnum):
    """What a redrive did with one job."""

    REDRIVEN = "redriven"
    SKIPPED = "skipped"
    FAILED = "failed"


class JobOutcome(Contract):
    """What became of one job."""

    id: str
    outcome: Outcome
    run_id: str | None = None
    """Of the new run."""
    how: str
    """Where it goes on, or why it doesn't."""


def page_size(rate: float | None) -> int:
    """Return how many jobs a page has, so that it takes no longer than ``PAGE_TIME``."""
    if rate is None:
        return PAGE_JOBS
    return max(1, min(PAGE_JOBS, int(rate * PAGE_TIME.total_seconds())))

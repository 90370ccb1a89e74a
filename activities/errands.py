"""For which job a step works: its own, or one that stands in a batch."""

from dataclasses import dataclass
from datetime import datetime

from temporalio import activity


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """The job that a step works for, and the moment."""

    job_id: str
    """Stable over attempts and runs: what the effect's ledger is keyed by."""
    run_id: str
    attempt: int
    scheduled_at: datetime
    now: datetime
    """When this attempt began, by the server's clock."""


def own_errand() -> Errand:
    """Return the errand of a step that works for its own job."""
    info = activity.info()
    return Errand(
        job_id=info.workflow_id or info.activity_id,
        run_id=info.workflow_run_id or "",
        attempt=info.attempt,
        scheduled_at=info.scheduled_time,
        now=info.started_time,
    )

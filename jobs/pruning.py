"""Forgetting: what goes when, by kind and outcome, and what of it went.

A closed job is looked at as long as its kind's ``Retention`` says, by outcome. Then its history,
its files between steps and its ledgers go. What it gave (reports, pictures, exports) stays for
``Retention.results``, counted from the newest file.
"""

from datetime import timedelta
from typing import Final

from jobs.base import Contract
from jobs.traces import Erased

PRUNE_WORKFLOW: Final = "Prune"
PRUNE_SCHEDULE: Final = "prune"
PRUNE_NOW: Final = "prune-now"
EVERY: Final = timedelta(hours=1)

LEDGERS_KEPT: Final = timedelta(days=30)
"""Of rows that no job refers to any more: longer than any job that writes them may live."""
ORPHANS_KEPT: Final = timedelta(days=1)
"""Of files between steps whose job the server has forgotten."""


class Forgotten(Contract):
    """Jobs of one kind that ended alike."""

    kind: str
    outcome: str
    """``completed``, or ``failed`` for every other end."""
    jobs: int


class StoredResult(Contract):
    """What one job gave, whose history has gone."""

    job_id: str
    erased: Erased


class Pruned(Contract):
    """What one run forgot, or would."""

    jobs: tuple[Forgotten, ...] = ()
    traces: Erased = Erased()
    """Files between steps and ledgers of those jobs, and of jobs that are gone already."""
    rows: int = 0
    """Old rows of ledgers."""
    results: int = 0
    """Jobs whose results went."""
    result_traces: Erased = Erased()

    def plus(self, other: "Pruned") -> "Pruned":
        """Return both together."""
        return Pruned(
            jobs=self.jobs + other.jobs,
            traces=self.traces.plus(other.traces),
            rows=self.rows + other.rows,
            results=self.results + other.results,
            result_traces=self.result_traces.plus(other.result_traces),
        )

"""What happens when: a plan of faults, made from a seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from typing_extensions import override

WORKERS: Final = 3
FIRST, LAST = 0.04, 0.85
"""Share of the jobs that have ended at the first and at the last strike."""
JOBS_A_STRIKE: Final = 50
"""In the long form."""


class Fault(StrEnum):
    """What is done to the installation."""

    KILL_WORKER = "kill -9 a worker"
    KILL_SERVER = "kill -9 the server"
    FREEZE_WORKER = "freeze a worker past its heartbeats, then thaw it"
    BLACK_HOLE = "black hole between worker and server"
    CUT_SERVER = "cut between worker and server"
    SLOW_SERVER = "slow network between worker and server"
    CUT_MAIL = "cut between worker and mail relay"
    SLOW_MAIL = "slow network between worker and mail relay"
    CUT_RECEIVER = "cut between workers and a receiver of webhooks"
    FILL_DISK = "fill the disk"
    JUMP_CLOCK = "jump a worker's clock by two days"
    ROLLING_RESTART = "rolling restart of every worker"


class Moment(StrEnum):
    """When a worker is frozen."""

    ANY = "at any moment"
    NAMED = "while a recipient is named to the relay"
    SENT = "while a mail waits for the relay's answer"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of the plan."""

    after: int
    """Strikes when so many jobs have ended."""
    fault: Fault
    worker: int
    moment: Moment
    lasts_s: float
    """How long, where it is not over at once."""

    @override
    def __str__(self) -> str:
        return f"after {self.after} jobs: {self.fault}"


def make_plan(seed: int, jobs: int, freeze_s: float) -> Sequence[Strike]:
    """Return the strikes: each fault at least once, more the more jobs there are.

    Args:
        seed: The same seed, jobs and freeze give the same plan.
        jobs: How many are submitted.
        freeze_s: How long freezes and black holes last; longer than heartbeats.
    """
    chance = Random(f"plan {seed}")  # noqa: S311 (repeatable)
    count = max(len(Fault), jobs // JOBS_A_STRIKE)
    faults: list[Fault] = []
    while len(faults) < count:
        faults += chance.sample(list(Fault), len(Fault))
    faults = sorted(faults[:count], key=lambda fault: fault not in LONG and len(faults) < SHORT)
    return [
        Strike(
            after=round(jobs * (FIRST + (LAST - FIRST) * index / (count - 1))),
            fault=fault,
            worker=chance.randrange(WORKERS),
            moment=chance.choice(list(Moment)),
            lasts_s=freeze_s if fault in LONG else chance.uniform(1, 4),
        )
        for index, fault in enumerate(faults)
    ]


LONG: Final = {Fault.FREEZE_WORKER, Fault.BLACK_HOLE}
"""Faults that last; in a short plan they come first, and others strike meanwhile."""
SHORT: Final = 2 * len(Fault)

"""What a kill -9 in the middle of the work does to a contender's mails, counted at the relay.

The relay is slow, so that some mails are always on their way: some taken and not answered yet, some
not taken yet. A further kill comes when a further share of the mails has arrived, or, where the
kills before it have lost so many that this can't be, when no more arrive. What was killed is
started again at once, and so is a worker that ended when its broker went away. Then it is waited
until nothing has arrived for longer than most queues need to find out by themselves; where mails
are missing by then, the worker is restarted once.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Semaphore
from typing import Final

from bench.harness import Plan
from bench.peers.contenders import Contender
from bench.peers.running import Running, running

JOBS: Final = 120
QUICK_JOBS: Final = 60
SLOW_S: Final = 0.025
"""Of the relay, before and after it takes a mail."""
QUIET_S: Final = 75
QUICK_QUIET_S: Final = 25
STALL_S: Final = 30
"""No more arrive now, or only much later: longer than our own heartbeat timeout and a start."""
SETTLED_S: Final = 3
AGAIN_QUIET_S: Final = 30
QUICK_AGAIN_QUIET_S: Final = 10
MOST_S: Final = 150
BUSY_S: Final = 15
"""How long a trial keeps others from starting, at most; after that it mostly waits."""
AT_ONCE: Final = 3
AWAY_S: Final = 1
LOOK_S: Final = 0.2


class Setting(StrEnum):
    """Who is killed, and how the broker is set."""

    WORKER = "worker killed three times"
    STRICT = "broker killed, strict"
    LAX = "broker killed, as it comes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One contender, and what is done to it."""

    contender: Contender
    setting: Setting

    @property
    def strict(self) -> bool:
        """Whether the broker writes to disk before it answers."""
        return self.setting is not Setting.LAX

    @property
    def kills(self) -> int:
        """How often; a worker takes few mails along, so more than one kill tells more."""
        return 3 if self.setting is Setting.WORKER else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    submitted: int
    lost: int
    """Had not arrived, and is not named unknown."""
    doubled: int
    """Copies beyond the first."""
    unknown: int
    """The queue itself says of them that it can't know; ours only."""
    done_after_s: float
    """From the last kill to the last first arrival."""
    notes: tuple[str, ...]


def trials(contenders: Sequence[Contender]) -> Sequence[Trial]:
    """Return what to try; not every broker has a lax setting."""
    return [
        Trial(contender=contender, setting=setting)
        for contender in contenders
        for setting in Setting
        if setting is not Setting.LAX or contender.has_lax_setting
    ]


def try_all(
    wanted: Sequence[Trial], node: Path | None, plan: Plan
) -> Sequence[Outcome | Exception]:
    """Try each, few at work at the same time; counts don't suffer from company as times do."""
    places = Semaphore(AT_ONCE)

    def attempt(trial: Trial) -> Outcome | Exception:
        try:
            return Crash(trial, node, plan, places).happen()
        except (RuntimeError, OSError) as error:
            return error

    with ThreadPoolExecutor(len(wanted)) as threads:  # most of the time they only wait
        return list(threads.map(attempt, wanted))


class Crash:
    """A trial as it happens."""

    def __init__(self, trial: Trial, node: Path | None, plan: Plan, places: Semaphore) -> None:
        self._trial = trial
        self._node = node
        self._jobs = min(plan.of(JOBS, QUICK_JOBS), trial.contender.mails)
        self._quiet_s = plan.of(QUIET_S, QUICK_QUIET_S)
        self._again_quiet_s = plan.of(AGAIN_QUIET_S, QUICK_AGAIN_QUIET_S)
        self._places = places
        self._notes: list[str] = []

    def happen(self) -> Outcome:
        """Do it all."""
        trial = self._trial
        with ExitStack() as stack:
            with self._places:
                one = stack.enter_context(
                    running(trial.contender, self._node, strict=trial.strict, slow_s=SLOW_S)
                )
                numbers = one.submit_and_know(self._jobs)
                killed = 0.0
                for number in range(1, trial.kills + 1):
                    self._until_due(one, numbers, number)
                    killed = time.monotonic()
                    self._kill(one)
                self._until_quiet(one, SETTLED_S, BUSY_S)
            self._until_quiet(one, self._quiet_s, MOST_S)
            times = one.arrivals.times
            if trial.setting is not Setting.WORKER and not times.keys() >= set(numbers):
                self._restart(one, "The worker was restarted once more, since mails were missing")
                self._until_quiet(one, self._again_quiet_s, MOST_S)
            unknown = one.named_unknown()
        missing = len(set(numbers) - times.keys())
        arrived = [times[number] for number in numbers if number in times]
        return Outcome(
            submitted=self._jobs,
            lost=max(missing - unknown, 0),
            doubled=sum(len(copies) - 1 for copies in arrived),
            unknown=unknown,
            done_after_s=max(copies[0] for copies in arrived) - killed,
            notes=tuple(self._notes),
        )

    def _until_due(self, one: Running, numbers: range, kill: int) -> None:
        """Return when its share of the mails has arrived, or after a kill when no more arrive."""
        due = numbers.start + self._jobs * kill // (self._trial.kills + 1)
        if kill == 1:
            one.until(due)
        elif not one.arrive(due, STALL_S):
            arrived = one.arrivals.look() - numbers.start
            self._notes.append(f"Kill {kill} came after {arrived} mails, since no more arrived")

    def _kill(self, one: Running) -> None:
        if self._trial.setting is Setting.WORKER:
            one.worker.kill()
            one.worker.start()
        else:
            one.broker.program.kill()
            time.sleep(AWAY_S)
            one.broker.start()

    def _until_quiet(self, one: Running, quiet_s: float, most_s: float) -> None:
        """Return when nothing has arrived for so long; start a worker again that has ended."""
        began = changed = time.monotonic()
        seen = -1
        while (now := time.monotonic()) - changed < quiet_s and now - began < most_s:
            total = one.arrivals.look() + one.arrivals.copies
            if total != seen:
                seen, changed = total, now
            if one.worker.ended:
                self._restart(one, "The worker ended by itself and was started again")
            time.sleep(LOOK_S)

    def _restart(self, one: Running, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)
        one.worker.stop()
        one.worker.start()
        time.sleep(AWAY_S)

"""What was measured of the contenders, as rows of the bench."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from bench.harness import Row
from bench.peers.crashes import Outcome, Trial

EACH: Final = "Conveyor, a job for each"
MAILING: Final = "Conveyor, a mailing"
OURS: Final = (EACH, MAILING)
OUTRUN: Final = ("Celery", "RQ", "BullMQ")
"""Whom a mailing is to be faster than."""

RATE: Final = "mails/s"
LATENCY: Final = "ms, idle"
LOST: Final = "lost"
DOUBLED: Final = "doubled"
"""Parts of an outcome, and units of their figures."""


@dataclass(slots=True)
class Measured:
    """All that was found out."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    """Mails a second of each round, by contender."""
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds."""
    crashes: dict[Trial, Outcome] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why something could not be measured, by what it is."""


def as_rows(found: Measured) -> Sequence[Row]:
    """Return what has a target, then each figure, then what is missing."""
    return [
        *_outrun(found.rates),
        *_kept(found.crashes),
        *_rates(found.rates),
        *_latencies(found.latencies),
        *_damage(found.crashes),
        *(
            Row(name=f"{what}: not measured", value=0, unit="", detail=why, raw={"missing": what})
            for what, text in found.missing.items()
            for why in text.splitlines()[:1]  # the others are the tool's log
        ),
    ]


def _outrun(rates: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for name in OUTRUN:
        if name in rates:
            ours, theirs = rates[MAILING], rates[name]
            yield Row(
                name=f"mails a second, a mailing : {name}",
                value=statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
                limit=1,
                at_least=True,
                detail=f"{statistics.median(ours):,.0f} : {statistics.median(theirs):,.0f}",
            )


def _kept(crashes: Mapping[Trial, Outcome]) -> Iterator[Row]:
    ours = [outcome for trial, outcome in crashes.items() if trial.contender.ours]
    submitted = sum(outcome.submitted for outcome in ours)
    unknown = sum(outcome.unknown for outcome in ours)
    for part in (LOST, DOUBLED):
        yield Row(
            name=f"Conveyor's mails {part} in all crashes",
            value=sum(getattr(outcome, part) for outcome in ours),
            limit=0,
            unit="",
            detail=f"of {submitted}; {unknown} named unknown",
        )


def _rates(rates: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    medians = {name: statistics.median(each) for name, each in rates.items()}
    for name, rate in medians.items():
        won = _won(name, medians[EACH] - rate)
        yield Row(name=name, value=rate, unit=RATE, won=won, raw={"rates": rates[name]})


def _latencies(latencies: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    medians = {name: statistics.median(each) for name, each in latencies.items()}
    for name, times in latencies.items():
        p95 = sorted(times)[round(0.95 * (len(times) - 1))]
        yield Row(
            name=name,
            value=medians[name],
            unit=LATENCY,
            won=_won(name, medians[name] - medians[EACH]),
            detail=f"p95 {p95:,.0f} ms",
            raw={"times": times, "p95": p95},
        )


def _damage(crashes: Mapping[Trial, Outcome]) -> Iterator[Row]:
    by_name: dict[str, dict[str, Outcome]] = {}
    for trial, outcome in crashes.items():
        by_name.setdefault(trial.contender.name, {})[trial.setting.value] = outcome
    for part in (LOST, DOUBLED):
        totals = {
            name: sum(getattr(outcome, part) for outcome in outcomes.values())
            for name, outcomes in by_name.items()
        }
        for name, outcomes in by_name.items():
            yield Row(
                name=name,
                value=totals[name],
                unit=part,
                detail=", ".join(
                    f"{setting}: {getattr(outcome, part)} of {outcome.submitted}"
                    for setting, outcome in outcomes.items()
                ),
                raw={setting: asdict(outcome) for setting, outcome in outcomes.items()},
            )


def _won(name: str, ahead: float) -> bool | None:
    """Return whether our job for each mail is the better side, by how far it is ahead."""
    return None if name in OURS or ahead == 0 else ahead > 0

"""The proof's table."""

from collections.abc import Sequence
from typing import Final

from tests.proof.mixed import Outcome, totals

COLUMNS: Final = (
    "submitted",
    "completed once",
    "failed as planned",
    "lost",
    "effects doubled",
    "named unknowns",
    "steps redone",
    "attempts eaten",
)


def told(outcome: Outcome) -> str:
    """Return a run's tables in Markdown."""
    counts = totals(outcome.verdicts)
    rows = [[kind, *(f"{counts[kind][name]:,}" for name in COLUMNS)] for kind in sorted(counts)]
    faults = [[str(fault), str(number)] for fault, number in outcome.struck.items()]
    faults += [[str(fault), f"skipped: {why}"] for fault, why in outcome.skipped.items()]
    notes = [
        f"- {verdict.id}: lost {verdict.lost}, doubled {verdict.doubled}: {verdict.note}"
        for verdict in outcome.verdicts
        if verdict.lost or verdict.doubled
    ]
    parts = [
        table(["kind", *COLUMNS], rows),
        table(["fault", "times"], faults),
        f"Seed {outcome.seed}, {outcome.jobs:,} jobs, {outcome.lives} workers started, "
        f"{outcome.poisoned} of them killed by the poison job, {outcome.released} holds released, "
        f"{outcome.unsigned} requests refused for their signature, {outcome.seconds:.0f} s.\n",
        "\n".join(notes),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""The proof's tables in Markdown, its page, and its numbers in JSON."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.proof.flood import PARTS, Flood
from tests.proof.mixed import Outcome, totals
from tests.proof.storm import Storm

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
EXPLAINED: Final = """\
Effects are counted where they arrive: mails at the relay, requests at the receivers, rows by a
trigger of the table, files in the storage. **Lost** counts jobs that did not end, failed unplanned,
or said to be done without their effect; **doubled** counts effects more often than once of which
nothing says so. A **named unknown** is one that the product itself tells: a mail whose delivery is
`unknown`, a reset mail sent again by its template's policy, a delivery (made at least once, under
the same `webhook-id`) whose log has an attempt without answer or a worker lost. **Steps redone**
counted no attempt (the worker was lost or shut down); **attempts eaten** did.
"""

ORDER: Final = ("outcome", "storm", "flood")

Part = Outcome | Storm | Flood


def write(folder: Path, described: Mapping[str, str], parts: Sequence[Part]) -> None:
    """Write ``faults.md`` and ``faults.json``; parts that ran at another time keep their tables."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / "faults.json"
    before = json.loads(numbers.read_text()) if numbers.exists() else {}
    told = {
        type(part).__name__.lower(): {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": dict(described),
            "tables": tables(part),
            "numbers": _numbers(part),
        }
        for part in parts
    }
    merged = {name: {**before, **told}[name] for name in ORDER if name in {*before, *told}}
    numbers.write_text(json.dumps(merged, indent=1, default=str) + "\n")
    (folder / "faults.md").write_text(page(merged))


def page(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page for the docs."""
    sections = []
    for part in parts.values():
        facts = ", ".join(f"{name} {text}" for name, text in part["machine"].items())
        sections.append(f"{part['tables']}\n<sub>{part['date']}; {facts}</sub>\n")
    return (
        "# The proof\n\nMade by `make proof`; the numbers are in [faults.json](faults.json).\n\n"
        + "\n".join([EXPLAINED, *sections])
    )


def tables(part: Part) -> str:
    """Return what a part came to, in Markdown."""
    match part:
        case Outcome():
            return _of_outcome(part)
        case Storm():
            return _of_storm(part)
        case Flood():
            return _of_flood(part)


def _of_outcome(outcome: Outcome) -> str:
    counts = totals(outcome.verdicts)
    kinds = [*sorted(kind for kind in counts if kind != "all"), "all"]
    rows = [[kind, *(f"{counts[kind][name]:,}" for name in COLUMNS)] for kind in kinds]
    faults = [[str(fault), str(number)] for fault, number in sorted(outcome.struck.items())]
    faults += [[str(fault), f"skipped: {why}"] for fault, why in outcome.skipped.items()]
    notes = [
        f"- {verdict.id}: lost {verdict.lost}, doubled {verdict.doubled}: {verdict.note}\n"
        for verdict in outcome.verdicts
        if verdict.lost or verdict.doubled
    ]
    notes += [f"- {job_id} could not be submitted\n" for job_id in outcome.refused]
    return (
        "## Jobs of every kind under faults\n\n"
        f"Seed {outcome.seed}, {outcome.jobs:,} jobs, {outcome.seconds:,.0f} s: "
        f"`make proof JOBS={outcome.jobs} SEED={outcome.seed}`. {outcome.lives} workers were "
        f"started in {outcome.places} places, {outcome.poisoned} killed by the poison job; "
        f"{outcome.released} holds were released; {_retried(outcome)}"
        f"receivers refused {outcome.unsigned} requests for their signature.\n\n"
        f"{table(['kind', *COLUMNS], rows)}\n{table(['fault', 'times'], faults)}"
        + ("\n" + "".join(notes) if notes else "")
    )


def _retried(outcome: Outcome) -> str:
    if not outcome.retried:
        return ""
    return f"{outcome.retried} jobs that had lost three workers to the faults were retried; "


def _of_storm(storm: Storm) -> str:
    counts = {
        "submissions": storm.submissions,
        "jobs made": storm.made,
        "answered with the job of the same payload": storm.found,
        "conflicts told": storm.told,
        "answered with a job of another payload": storm.untold,
        "mails that arrived": storm.mails,
        "of another payload, or second ones": storm.astray,
    }
    return (
        f"## Submission storm\n\n{storm.clients} clients at once submit each of {storm.ids} ids "
        "with four different payloads.\n\n"
        + table(["", "count"], [[name, f"{count:,}"] for name, count in counts.items()])
    )


def _of_flood(flood: Flood) -> str:
    rows = [
        [
            part,
            *(f"{look.mib[part]:.0f}" for look in flood.looks),
            f"{flood.slope(part):+.2f}",
        ]
        for part in PARTS
    ]
    heads = ["MiB when so many had ended", *(f"{look.ended:,}" for look in flood.looks)]
    return (
        f"## Flood\n\n{flood.jobs:,} mails, half by `JobClient`, half over HTTP: "
        f"{flood.completed:,} completed in {flood.seconds:,.0f} s. Slope: MiB per 1,000 jobs once "
        "a third is done.\n\n" + table([*heads, "slope"], rows)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _numbers(part: Part) -> Mapping[str, Any]:
    numbers = dataclasses.asdict(part)
    if isinstance(part, Outcome):
        numbers["totals"] = totals(part.verdicts)
        numbers["struck"] = dict(part.struck)  # asdict counts the pairs of a Counter
        numbers["verdicts"] = [verdict for verdict in numbers["verdicts"] if not _is_plain(verdict)]
    return numbers


def _is_plain(verdict: Mapping[str, Any]) -> bool:
    """Tell whether nothing happened to a job that is worth a line."""
    eventful = verdict["lost"] or verdict["doubled"] or verdict["unknown"]
    return not eventful and not any(verdict["repeated"].values())

"""The contenders as a table of one row each, with what was won and lost in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from bench.harness import Row
from bench.peers.brokers import PostgreSQL, Redis, Temporal
from bench.peers.contenders import CONTENDERS
from bench.peers.crashes import Setting
from bench.peers.telling import DOUBLED, EACH, LATENCY, LOST, MAILING, OURS, RATE

HEAD: Final = ("", "mails a second", "idle, median (p95)", *(setting.value for setting in Setting))
BROKERS: Final = {
    Temporal: "Temporal's SQLite with `synchronous=FULL`",
    PostgreSQL: "PostgreSQL with its defaults (`fsync=on`)",
    Redis: "Redis",
}
NOTE: Final = """\
Lost / doubled, of the mails submitted, and, where none was lost, how long after the kill the last
one arrived. *Strict* is the setting of the timed columns; *as it comes* is Redis without any
setting, which writes a snapshot now and then. *Unknown* are mails of which Conveyor itself says
that they went out and that their answer was lost: it does not send them again by itself."""


def markdown(rows: Sequence[Row]) -> str:
    """Return everything as Markdown."""
    found = {(row.unit, row.name): row for row in rows}
    names = [one.name for one in CONTENDERS if (RATE, one.name) in found]
    table = [_line(HEAD), _line(["---", *["---:"] * 2, *["---"] * len(Setting)])]
    table += [_line([name, *_cells(name, found)]) for name in names]
    missing = [
        f"- Not measured: {row.raw['missing']}: {row.detail}"
        for row in rows
        if "missing" in row.raw
    ]
    parts = [*table, "", NOTE, "", *_verdicts(names, found), *missing, "", *_forms(names, found)]
    return "\n".join(parts)


def _cells(name: str, found: Mapping[tuple[str, str], Row]) -> Iterator[str]:
    yield f"{found[RATE, name].value:,.0f}"
    latency = found[LATENCY, name]
    yield f"{latency.value:,.0f} ms ({latency.raw['p95']:,.0f})"
    outcomes = found[LOST, name].raw if (LOST, name) in found else {}
    for setting in Setting:
        yield _cell(outcomes[setting]) if setting in outcomes else "–"


def _cell(outcome: Mapping[str, Any]) -> str:
    unknown = f", {outcome['unknown']} unknown" if outcome["unknown"] else ""
    after = "" if outcome["lost"] else f", all in {max(outcome['done_after_s'], 0):,.0f} s"
    return f"**{outcome['lost']} / {outcome['doubled']}**{unknown} of {outcome['submitted']}{after}"


def _verdicts(names: Sequence[str], found: Mapping[tuple[str, str], Row]) -> Iterator[str]:
    peers = [name for name in names if name not in OURS]

    def rates(ours: str) -> str:
        mine = found[RATE, ours].value
        return _sides(
            peers,
            ahead=lambda name: found[RATE, name].value / mine,
            better="faster",
            worse="slower",
        )

    mine = found[LATENCY, EACH].value
    latency = _sides(
        peers,
        ahead=lambda name: mine / found[LATENCY, name].value,
        better="sooner",
        worse="later",
    )
    yield f"- Rate against a job for each mail: {rates(EACH)}."
    yield f"- Rate against a mailing: {rates(MAILING)}."
    yield f"- Idle latency against a job: {latency}."
    for part in (LOST, DOUBLED):
        some = [
            f"{name} {found[part, name].value:,.0f}"
            for name in names
            if (part, name) in found and found[part, name].value
        ]
        yield f"- {part.capitalize()} mails in the crashes: {', '.join(some) or 'nobody'}."


def _sides(names: Sequence[str], *, ahead: Callable[[str], float], better: str, worse: str) -> str:
    """Return who is better and who is worse, each by how much."""
    before = [f"{name} {ahead(name):,.1f}×" for name in names if ahead(name) > 1]
    behind = [f"{name} {1 / ahead(name):,.1f}×" for name in names if ahead(name) <= 1]
    return f"{better} are {', '.join(before) or 'none'}; {worse} are {', '.join(behind) or 'none'}"


def _forms(names: Sequence[str], found: Mapping[tuple[str, str], Row]) -> Iterator[str]:
    yield "How each is run, and what becomes of a job whose worker was killed:"
    yield ""
    for one in CONTENDERS:
        if one.name in names:
            outcomes = found[LOST, one.name].raw if (LOST, one.name) in found else {}
            notes: dict[str, list[str]] = {}
            for setting, outcome in outcomes.items():
                for note in outcome["notes"]:
                    notes.setdefault(note, []).append(setting)
            seen = "".join(f" {note} ({'; '.join(each)})." for note, each in notes.items())
            how = f"{one.form}; {BROKERS[one.broker]}"
            yield f"- {one.name}: {how}. The job is {one.recovery}.{seen}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

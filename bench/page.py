"""Writes what was measured to ``docs/proof``: the page, the numbers, a picture for each table.

Areas that were measured at another time keep their tables, so one area can be measured anew.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.harness import ROOT, Row
from bench.picture import picture
from bench.tables import MARKS, as_row, figure, target

FOLDER: Final = ROOT / "docs" / "proof"
NUMBERS: Final = "bench.json"
MACHINE: Final = ("cpu", "memory", "system", "python")
INTRODUCTION: Final = """# The bench

What Conveyor costs and how fast it is, beside what it is compared with, by a command that anybody
can repeat: `make bench`, or `make bench AREA="overhead peers"`; `make bench QUICK=1` measures less
in minutes; `make bench WRITE=1` writes this page, its pictures, and [every round](bench.json).

A row compares things that took turns in one run: trust ratios, not absolute numbers. A target has a
tick or a cross; *won* and *lost* are comparisons without a target. Figures are medians of the
rounds.
"""


def write(measured: Mapping[str, Mapping[str, Any]], folder: Path = FOLDER) -> None:
    """Merge areas into what is there, and write everything anew.

    Args:
        measured: By area: ``title``, ``about``, ``machine``, ``at``, ``plan``, ``rows``, and
            ``markdown``, its own table, or nothing.
        folder: Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / NUMBERS
    before = json.loads(numbers.read_text()) if numbers.exists() else {}
    areas = dict(sorted({**before, **measured}.items()))
    numbers.write_text(json.dumps(areas, indent=1, default=str, ensure_ascii=False) + "\n")
    (folder / "bench.md").write_text(page(areas))
    for name, area in areas.items():
        rows = [as_row(entry) for entry in area["rows"]]
        (folder / f"bench-{name}.svg").write_text(picture(area["title"], rows))


def page(areas: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, summary(areas), *(section(*item) for item in areas.items())])


def summary(areas: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many targets are reached, and which are not."""
    rows = [(name, as_row(entry)) for name, area in areas.items() for entry in area["rows"]]
    aimed = [(name, row) for name, row in rows if row.reached is not None]
    missed = [(name, row) for name, row in aimed if not row.reached]
    lines = [f"{len(aimed) - len(missed)} of {len(aimed)} targets are reached."]
    if missed:
        lines += ["Missed:", ""]
        lines += [
            f"- [{name}](#{name}): {row.name}: {figure(row)}, target {target(row)}"
            for name, row in missed
        ]
    return "\n".join([*lines, ""])


def section(name: str, area: Mapping[str, Any]) -> str:
    """Return an area as Markdown."""
    rows = [as_row(entry) for entry in area["rows"]]
    own = area.get("markdown", "")
    """A table of the area's own, which has the figures that have no target."""
    shown = [row for row in rows if row.limit is not None] if own else rows
    machine = area["machine"]
    versions = ", ".join(
        f"{part} {text}" for part, text in machine.items() if part not in {*MACHINE, "load before"}
    )
    return "\n".join(
        [
            f"## {name}",
            "",
            f"{area['about']}",
            "",
            f"![{area['title']}](bench-{name}.svg)",
            "",
            *markdown(shown),
            "",
            *([own, ""] if own else []),
            f"<sub>{area['at']}, {area['plan']}, {machine['cpu']}, {machine['memory']}, "
            f"{machine['system']}, Python {machine['python']}, {versions}; load before: "
            f"{machine['load before']}</sub>",
            "",
        ]
    )


def markdown(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| | what | value | target | |", "| --- | --- | ---: | --- | --- |"]
    for row in rows:
        cells = (MARKS[row.reached], row.name, figure(row), target(row), row.detail)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").strip() for cell in cells) + " |")
    return lines

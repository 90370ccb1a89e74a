"""Rows as text for the terminal, and as JSON for whoever wants every round."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.harness import Row

MARKS: Final = {True: "✓", False: "✗", None: " "}
VERDICTS: Final = {True: "won", False: "lost", None: ""}


def table(rows: Sequence[Row]) -> str:
    """Return rows as text: target reached or not, what, value, target, medians."""
    width = max(len(row.name) for row in rows)
    values = [figure(row) for row in rows]
    widest = max(map(len, values))
    lines = []
    for row, value in zip(rows, values, strict=True):
        line = f"{MARKS[row.reached]} {row.name:{width}}  {value:>{widest}}  {target(row):8}"
        lines.append(f"{line}  {row.detail}".rstrip())
    return "\n".join(lines)


def figure(row: Row) -> str:
    """Return the value with its unit, with as many digits as tell something."""
    digits = 0 if row.value >= 100 or row.value == int(row.value) else 1 if row.value >= 10 else 2
    return f"{row.value:,.{digits}f} {row.unit}".strip()


def target(row: Row) -> str:
    """Return what the value should be, or in a comparison without a target who won."""
    if row.limit is None:
        return VERDICTS[row.won]
    return f"{'≥' if row.at_least else '≤'} {row.limit:g}"


def as_entry(row: Row) -> dict[str, Any]:
    """Return a row for the JSON file, each round of it."""
    return {**asdict(row), "reached": row.reached}


def as_row(entry: Mapping[str, Any]) -> Row:
    """Return what ``as_entry`` was given."""
    return Row(**{name: value for name, value in entry.items() if name != "reached"})

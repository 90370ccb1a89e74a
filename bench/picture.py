"""A table as a picture: bars as SVG that reads in light and in dark, with no library.

Rows with a target are drawn against it: the bar is the value over the target, the line is the
target. The others are drawn by their unit, each group on a scale of its own, which is logarithmic
where the largest is more than 30 times the smallest.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.harness import Row
from bench.tables import figure, target

WIDTH: Final = 860
LABEL: Final = 400
VALUE: Final = 150
BAR: Final = WIDTH - LABEL - VALUE - 24
ROW: Final = 26
HEAD: Final = 30
TOP: Final = 44
MOST_LABEL: Final = 62
FARTHEST: Final = 2.0
"""Bars are cut at so many times the target."""
LOGARITHMIC: Final = 30
STYLE: Final = """
  .page{fill:#ffffff} text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
  .title{font-size:16px;font-weight:600} .head,.note{fill:#59636e;font-size:12px}
  .track{fill:#eff2f5} .good{fill:#1a7f37} .bad{fill:#cf222e} .plain{fill:#0969da}
  .line{stroke:#1f2328;stroke-width:1.5;stroke-dasharray:3 2}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117} text{fill:#f0f6fc} .head,.note{fill:#9198a1} .track{fill:#1c2128}
    .good{fill:#3fb950} .bad{fill:#f85149} .plain{fill:#4493f8} .line{stroke:#f0f6fc}
  }
"""


def picture(title: str, rows: Sequence[Row]) -> str:
    """Return the rows of one table as an SVG document."""
    body: list[str] = []
    y = TOP
    for head, group in groups(rows):
        body.append(f'<text class="head" x="16" y="{y + 14}">{escape(head)}</text>')
        y += HEAD
        for row, share, mark in zip(group, *shares(group), strict=True):
            body += bar(row, share, mark, y)
            y += ROW
        y += 8
    height = y + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
            f'<text class="title" x="16" y="28">{escape(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def groups(rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield headed groups of rows that share a scale."""
    aimed = [row for row in rows if row.limit]
    if aimed:
        yield "against the target (dashed)", aimed
    units: dict[str, list[Row]] = {}
    for row in rows:
        if not row.limit:
            units.setdefault(row.unit, []).append(row)
    for unit, group in units.items():
        yield {"x": "times"}.get(unit, unit) or "figures", group


def shares(rows: Sequence[Row]) -> tuple[list[float], list[float | None]]:
    """Return how long each bar is and where its target lies, both from 0 to 1."""
    if rows[0].limit:
        far = [min(row.value / (row.limit or 1), FARTHEST) / FARTHEST for row in rows]
        return far, [1 / FARTHEST] * len(rows)
    values = [row.value for row in rows]
    positive = [value for value in values if value > 0]
    marks: list[float | None] = [None] * len(rows)
    if not positive:
        return [0.0] * len(rows), marks
    most, least = max(positive), min(positive)
    if most / least <= LOGARITHMIC:
        return [max(value, 0) / most for value in values], marks
    low = math.log10(least) - 0.3
    span = math.log10(most) - low
    return [(math.log10(value) - low) / span if value > 0 else 0.0 for value in values], marks


def bar(row: Row, share: float, mark: float | None, y: float) -> Iterator[str]:
    """Yield the shapes of one row."""
    good = row.won if row.reached is None else row.reached
    look = {True: "good", False: "bad", None: "plain"}[good]
    name = row.name if len(row.name) <= MOST_LABEL else f"{row.name[: MOST_LABEL - 1]}…"
    hint = f"<title>{escape(row.name)}: {escape(figure(row))} {escape(row.detail)}</title>"
    yield f'<g>{hint}<text x="16" y="{y + 14}">{escape(name)}</text>'
    yield f'<rect class="track" x="{LABEL}" y="{y + 2}" width="{BAR}" height="16" rx="3"/>'
    width = max(share * BAR, 1.5)
    yield f'<rect class="{look}" x="{LABEL}" y="{y + 2}" width="{width:.1f}" height="16" rx="3"/>'
    if mark is not None:
        x = LABEL + mark * BAR
        yield f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 2}" y2="{y + 22}"/>'
    said = " ".join(filter(None, (figure(row), f"({target(row)})" if target(row) else "")))
    yield f'<text x="{LABEL + BAR + 10}" y="{y + 14}">{escape(said)}</text></g>'

"""Draws the chart of a report with Matplotlib, without its global state.

The same figures give the same bytes: element ids come from a fixed salt, no date is written, and
only the shipped font is used.
"""

import threading
from collections.abc import Sequence
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from adapters.reports.words import MINUS
from jobs.figures import Kind, Trend
from jobs.money import SYMBOLS

FONTS: Final = Path(__file__).resolve().parents[2] / "templates" / "fonts"
FONT: Final = "Source Sans Pro"
ACCENT: Final = "#2457d6"
ACCENT_PALE: Final = "#b9c8f0"
MUTED: Final = "#8a94a3"
INK: Final = "#4a5462"
HAIRLINE: Final = "#e4e8ee"

SIZE_IN: Final = (7.1, 2.25)
MAX_DAY_LABELS: Final = 8
LONG_DAYS: Final = 93
"""From here on the axis shows months."""
MOST_MONTH_LABELS: Final = 13

OPTIONS: Final[dict[Any, Any]] = {
    "font.family": [FONT, "sans-serif"],
    "font.size": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "conveyor",
    "text.parse_math": False,  # two dollar signs are no formula
}

_drawing: Final = threading.Lock()
"""Matplotlib's options and font cache are shared by all threads."""


def trend_svg(trend: Trend, currency: str | None) -> str:
    """Return the chart as one ``svg`` element with its texts as text."""
    document = _draw(trend, currency, format="svg", metadata={"Date": None}).decode()
    return document[document.index("<svg") :]


def trend_png(trend: Trend, currency: str | None) -> bytes:
    """Return the chart as PNG on white, for mails: their programs drop SVG."""
    return _draw(
        trend, currency, format="png", dpi=160, facecolor="white", metadata={"Software": None}
    )


def _draw(trend: Trend, currency: str | None, **save: Any) -> bytes:
    with _drawing, mpl.rc_context(OPTIONS):
        _know_font()
        figure = Figure(figsize=SIZE_IN)
        axes = figure.add_axes((0.065, 0.115, 0.925, 0.845))
        if trend.lead:
            _bars(axes, trend)
        else:
            _line(axes, trend)
        _frame(axes, trend, currency)
        target = BytesIO()
        figure.savefig(target, transparent=save["format"] == "svg", **save)
        return target.getvalue()


def _know_font() -> None:
    if FONT not in {font.name for font in font_manager.fontManager.ttflist}:
        for path in sorted(FONTS.glob("SourceSansPro-*.otf")):
            font_manager.fontManager.addfont(path)


def _bars(axes: Axes, trend: Trend) -> None:
    values = [float(value) for value in trend.values]
    colors = [ACCENT_PALE if i < trend.lead else ACCENT for i in range(len(values))]
    axes.bar(range(len(values)), values, width=0.68, color=colors)
    axes.set_xlim(-0.6, len(values) - 0.4)


def _line(axes: Axes, trend: Trend) -> None:
    values = [float(value) for value in trend.values]
    days = range(len(values))
    before = [float(value) for value in trend.before][: len(values)]
    if before:
        axes.plot(range(len(before)), before, color=MUTED, linewidth=1.1, linestyle=(0, (3, 2)))
    axes.fill_between(days, values, color=ACCENT, alpha=0.09, linewidth=0)
    axes.plot(days, values, color=ACCENT, linewidth=1.8, solid_joinstyle="round")
    axes.set_xlim(0, max(len(values) - 1, 1))


def _frame(axes: Axes, trend: Trend, currency: str | None) -> None:
    highest = max([*map(float, trend.values), *map(float, trend.before), 0.0])
    lowest = min([*map(float, trend.values), *map(float, trend.before), 0.0])
    axes.set_ylim(lowest * 1.08, highest * 1.08 or 1)
    axes.yaxis.set_major_locator(
        MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10], integer=trend.kind is Kind.COUNT)
    )
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: short(value, trend.kind, currency))
    )
    axes.set_xticks(*day_labels(trend.days))
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, pad=5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def day_labels(days: Sequence[date]) -> tuple[list[int], list[str]]:
    """Return where the day axis has labels, and the labels."""
    if len(days) > LONG_DAYS:
        firsts = [i for i, day in enumerate(days) if day.day == 1]
        firsts = firsts[:: len(firsts) // MOST_MONTH_LABELS + 1]
        return firsts, [
            f"{days[i]:%b %Y}" if n == 0 or days[i].month == 1 else f"{days[i]:%b}"
            for n, i in enumerate(firsts)
        ]
    step = next(
        step
        for step in (1, 2, 7, 14, 28)
        if len(days) <= step * MAX_DAY_LABELS or step > 14  # noqa: PLR2004  the last step
    )
    places = list(range(0, len(days), step))
    return places, [f"{days[i].day} {days[i]:%b}" for i in places]


def short(value: float, kind: Kind, currency: str | None) -> str:
    """Return an axis label: ``€12k``."""
    if kind is Kind.SHARE:
        return f"{value * 100:g}%"
    size, unit = abs(value), ""
    for limit, name in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if size >= limit:
            size, unit = size / limit, name
            break
    symbol = SYMBOLS.get(currency or "", "") if kind is Kind.MONEY else ""
    return f"{MINUS if value < 0 else ''}{symbol}{size:,.6g}{unit}"

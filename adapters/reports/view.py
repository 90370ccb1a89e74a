"""A report ready for a page: every text as it will be read, shared by PDF and HTML."""

from datetime import datetime
from typing import Any, Final

from adapters.reports.charts import trend_svg
from adapters.reports.words import UNKNOWN, say, say_change, tone
from jobs.figures import Column, Figures, Kind, Kpi, Table
from jobs.periods import zone

MAX_DAILY_ROWS: Final = 62
"""Longer day tables are left to spreadsheet and data formats."""


def view(figures: Figures, product_name: str) -> dict[str, Any]:
    """Return what the page templates need, as plain JSON values."""
    return {
        "product": product_name,
        "title": figures.title,
        "description": figures.description,
        "period": figures.period.words,
        "compared": figures.compared.words if figures.compared else None,
        "facts": _facts(figures),
        "kpis": [_kpi(kpi, figures) for kpi in figures.kpis],
        "empty": f"No {figures.records} in this period." if figures.empty else None,
        "chart": None if figures.empty else _chart(figures),
        "tables": [_table(table, figures.currency) for table in figures.tables if table.rows],
        "daily": _daily(figures),
        "definitions": [list(pair) for pair in figures.definitions],
        "notes": list(figures.notes),
        "language": "en",
    }


def _facts(figures: Figures) -> list[list[str]]:
    facts = [["Days", f"local days in {figures.time_zone}, both ends included"]]
    if figures.currency:
        facts.append(["Currency", figures.currency])
    facts.append(["Counted", f"{figures.rows_read:,} {figures.records}, both periods together"])
    if figures.compared is None:
        facts[-1] = ["Counted", f"{figures.rows_read:,} {figures.records}"]
    facts.append(["Data up to", say_instant(figures.data_as_of, figures.time_zone)])
    return facts


def say_instant(instant: datetime | None, time_zone: str) -> str:
    """Return an instant on the clocks of a zone, with its offset."""
    if instant is None:
        return "no data yet"
    local = instant.astimezone(zone(time_zone))
    return f"{local.day} {local:%B %Y, %H:%M} (UTC{local:%z})"


def _kpi(kpi: Kpi, figures: Figures) -> dict[str, str | None]:
    compared = figures.compared is not None
    return {
        "label": kpi.label,
        "value": say(kpi.value, kpi.kind, figures.currency),
        "change": say_change(kpi) if compared else None,
        "tone": tone(kpi),
        "before": say(kpi.before, kpi.kind, figures.currency) if compared else None,
    }


def _chart(figures: Figures) -> dict[str, Any]:
    trend = figures.trend
    legend = [["current", figures.period.words]]
    if trend.before and figures.compared:
        legend.append(["before", figures.compared.words])
    if trend.lead:
        legend.append(["lead", f"the {trend.lead} days before"])
    values = [say(value, trend.kind, figures.currency) for value in trend.values[trend.lead :]]
    return {
        "title": trend.title,
        "svg": trend_svg(trend, figures.currency),
        "legend": legend,
        "alt": f"{trend.title}, {figures.period.words}: from {values[0]} to {values[-1]}",
    }


def _daily(figures: Figures) -> dict[str, Any] | None:
    if figures.empty or not 1 < len(figures.daily.rows) <= MAX_DAILY_ROWS:
        return None
    return _table(figures.daily, figures.currency)


def _table(table: Table, currency: str | None) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": [
            {"label": column.label, "figure": is_figure(column), "share": column.key == "share"}
            for column in table.columns
        ],
        "rows": [_cells(row, table, currency) for row in table.rows],
        "fractions": [
            float(row[-1] or 0) if table.columns[-1].key == "share" else 0.0 for row in table.rows
        ],
        "total": _cells(table.total, table, currency) if table.total else None,
        "note": table.note,
    }


def is_figure(column: Column) -> bool:
    """Whether the column's cells are numbers, which stand to the right."""
    return column.kind not in (Kind.TEXT, Kind.DATE)


def _cells(row: tuple[str, ...], table: Table, currency: str | None) -> list[str]:
    return [
        say(cell, column.kind, currency) if cell else UNKNOWN
        for cell, column in zip(row, table.columns, strict=True)
    ]

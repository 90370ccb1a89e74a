"""Writes a report for programs: CSV of the days, JSON of everything."""

import csv
from io import StringIO
from typing import Final

from jobs.figures import Figures, Kind

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(figures: Figures) -> bytes:
    """Return every table as rows of ``table, label, figure, value``: one shape for all reports.

    Values are exact decimals. A label that a spreadsheet would run as a formula gets an
    apostrophe in front.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("table", "label", "figure", "value"))
    for kpi in figures.kpis:
        writer.writerow(("kpis", "", kpi.key, kpi.value or ""))
    for table in (figures.daily, *figures.tables):
        first, *others = table.columns
        for row in table.rows:
            label = row[0] if first.kind is not Kind.TEXT else guard(row[0])
            writer.writerows(
                (table.key, label, column.key, value)
                for column, value in zip(others, row[1:], strict=True)
            )
    return text.getvalue().encode()


def guard(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def write_json(figures: Figures) -> bytes:
    """Return the figures as they are."""
    return figures.model_dump_json(indent=2).encode() + b"\n"

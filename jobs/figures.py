"""The figures of one report, between collecting and rendering.

Every figure is the exact decimal as text: money in whole units of the report's currency, shares as
fractions of 1. So the same figures give the same bytes in every format, and nothing is rounded
before it is shown.
"""

from datetime import date, datetime
from enum import StrEnum

from jobs.base import Contract


class Kind(StrEnum):
    """How a figure is shown."""

    TEXT = "text"
    DATE = "date"
    COUNT = "count"
    MONEY = "money"
    SHARE = "share"


class Better(StrEnum):
    """Which way a change is good news."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


class Kpi(Contract):
    """One key figure, with the period before."""

    key: str
    label: str
    kind: Kind
    value: str | None
    """None where it can't be told, such as the average of no orders."""
    before: str | None = None
    change: str | None = None
    """Relative to ``before``, as a fraction; None where there is none or it was 0."""
    better: Better = Better.UP


class Column(Contract):
    """One column of a table."""

    key: str
    label: str
    kind: Kind


class Table(Contract):
    """Rows of cells; an empty cell is a figure that can't be told."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None = None
    note: str = ""


class Trend(Contract):
    """What the chart shows: one value a day, and that of the period before at the same index."""

    title: str
    kind: Kind
    days: tuple[date, ...]
    values: tuple[str, ...]
    before: tuple[str, ...] = ()
    lead: int = 0
    """How many of the days lie before the period: the run-up of a period too short to chart."""


class Span(Contract):
    """The days of a period, for showing."""

    start: date
    end: date
    """Last day, included."""
    words: str


class Figures(Contract):
    """Everything that a report shows."""

    type: str
    title: str
    description: str
    period: Span
    compared: Span | None
    time_zone: str
    currency: str | None
    records: str
    """What is counted, in the plural: ``orders``."""
    rows_read: int
    data_as_of: datetime | None
    empty: bool
    kpis: tuple[Kpi, ...]
    trend: Trend
    daily: Table
    tables: tuple[Table, ...]
    definitions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

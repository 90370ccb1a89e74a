"""Collects the figures of a report by SQL, in one snapshot of the database.

The database aggregates, so memory does not grow with the rows. A query sees the local days as a
table ``days(day, starts_at, ends_at)``, whose edges were made in Python: exact in every zone, and
one text for SQLite and PostgreSQL.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, to_micros
from adapters.reports.definitions import (
    Definition,
    KeyFigure,
    Measure,
    TableLayout,
    TrendLayout,
    load,
)
from jobs.figures import Column, Figures, Kind, Kpi, Span, Table, Trend
from jobs.money import from_minor
from jobs.periods import DAY, Period, local_day, zone
from jobs.reports import DEFINITIONS, Compare, GenerateReport, ReportQueryFailed

MAX_ROWS: Final = 1_000
"""Of a table; more is an export, not a report."""

DAYS_TO_CHART: Final = 7
RUN_UP_DAYS: Final = 14
"""Days in the chart of a shorter period, its own included."""

NO_AUTOMATIC_INDEX: Final = "PRAGMA automatic_index=OFF"
AUTOMATIC_INDEX: Final = "PRAGMA automatic_index=ON"
"""SQLite, which knows no statistics, would build an index on any column that a query compares with
a constant, and then leave the index on the time unused: 66 s in place of 0.4 s."""

SHARE_STEP: Final = Decimal("0.0001")

Row = Mapping[str, Any]
Measures = Mapping[str, int]
Tell = Callable[[int, int, str], None]
"""Told after each query: how many are done, of how many, and the name of this one."""


@dataclass(frozen=True, slots=True)
class ReportSource:
    """The report queries, over the application database."""

    database: Database
    definitions: Path = DEFINITIONS

    async def collect(self, job: GenerateReport, period: Period, tell: Tell) -> Figures:
        """Return the figures of ``job`` over ``period``, all from one state of the database.

        Raises:
            ReportUndefined: the report's file pair is missing or wrong.
            ReportQueryFailed: a query gave too many rows or not the columns of the layout.
            DatabaseUnavailable: the database is away.
        """
        definition = load(job.type, self.definitions)
        compared = period.previous() if job.compare is Compare.PREVIOUS else None
        async with self.database.snapshot() as connection:
            reader = _Reader(
                connection,
                definition,
                tell,
                job,
                compares=compared is not None,
                lead=run_up(period),
            )
            async with _without_automatic_index(connection):
                return await _collect(reader, definition, period, compared)


@asynccontextmanager
async def _without_automatic_index(connection: AsyncConnection) -> AsyncIterator[None]:
    if connection.dialect.name != "sqlite":
        yield
        return
    await connection.exec_driver_sql(NO_AUTOMATIC_INDEX)
    try:
        yield
    finally:
        await connection.exec_driver_sql(AUTOMATIC_INDEX)


def run_up(period: Period) -> Period | None:
    """Return the days before a period of less than a week, so that its chart shows a course."""
    if len(period.days) >= DAYS_TO_CHART:
        return None
    start = period.end - RUN_UP_DAYS * DAY
    return Period(start=start, end=period.start, time_zone=period.time_zone)


class _Reader:
    """Runs the named queries of one report and tells how far it is."""

    def __init__(
        self,
        connection: AsyncConnection,
        definition: Definition,
        tell: Tell,
        job: GenerateReport,
        *,
        compares: bool,
        lead: Period | None,
    ) -> None:
        self.job = job
        self.daily = definition.daily
        self.lead = lead
        self.currency = job.currency if definition.money else None
        self._connection = connection
        self._queries = definition.queries
        self._tell = tell
        self._done = 0
        twice = {"daily", "totals"} if compares else set()
        self._total = len(self._queries) + len(twice & set(self._queries)) + (lead is not None)

    async def rows(self, query: str, period: Period | None = None) -> Sequence[Row]:
        """Return the rows of a query over ``period``."""
        values: dict[str, Any] = {"currency": self.currency, "top_n": self.job.top_n}
        limit = MAX_ROWS
        statement = self._queries[query]
        if period is not None:
            edges = [to_micros(edge) for edge in period.edges]
            values |= {"start": edges[0], "end": edges[-1]}
            if query == "daily":
                statement = with_days(statement, edges)
                limit = len(edges) - 1
        result = await self._connection.execute(text(statement), values)
        rows = [dict(row) for row in result.mappings().fetchmany(limit + 1)]
        result.close()
        if len(rows) > limit:
            msg = f"{self.job.type}.sql: query {query!r} gives more than {limit:,} rows"
            raise ReportQueryFailed(msg)
        self._done += 1
        self._tell(self._done, self._total, query)
        return rows

    def number(self, query: str, row: Row, key: str) -> int:
        """Return an integer of a row; PostgreSQL's sums are decimals."""
        if key not in row:
            msg = f"{self.job.type}.sql: query {query!r} gives no column {key!r}"
            raise ReportQueryFailed(msg)
        return int(row[key] or 0)


def with_days(statement: str, edges: Sequence[int]) -> str:
    """Put the table ``days`` in front of a query; the edges are our own integers."""
    days = ", ".join(f"({day}, {start}, {end})" for day, (start, end) in enumerate(pairwise(edges)))
    head = f"WITH days(day, starts_at, ends_at) AS (VALUES {days})"
    first, _, rest = statement.partition(" ")
    return f"{head}, {rest}" if first.upper() == "WITH" else f"{head} {statement}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """The figures of one period."""

    daily: Sequence[Measures]
    sums: Measures


async def _collect(
    reader: _Reader, definition: Definition, period: Period, compared: Period | None
) -> Figures:
    notes = list(_notes(period, compared))
    if definition.money:
        notes += await _choose_currency(reader, definition, period)
    newest = (await reader.rows("newest"))[0]["newest"]
    data_as_of = None if newest is None else from_micros(int(newest))
    notes += _incomplete(period, data_as_of)
    current = await _sums(reader, definition, period)
    before = await _sums(reader, definition, compared) if compared else None
    lead = await reader.rows("daily", reader.lead) if reader.lead else ()
    tables = [
        _table(layout, await reader.rows(layout.query, period), current.sums, reader)
        for layout in definition.tables
    ]
    return Figures(
        type=reader.job.type,
        title=definition.title,
        description=definition.description,
        period=_span(period),
        compared=_span(compared) if compared else None,
        time_zone=period.time_zone,
        currency=reader.currency,
        records=definition.records,
        rows_read=current.sums["records"] + (before.sums["records"] if before else 0),
        data_as_of=data_as_of,
        empty=current.sums["records"] == 0,
        kpis=tuple(_kpi(kpi, current, before, reader.currency) for kpi in definition.kpis),
        trend=_trend(reader, definition.trend, period, lead, current, before),
        daily=_daily(definition, period, current, reader.currency),
        tables=tuple(tables),
        definitions=tuple(definition.definitions.items()),
        notes=tuple(notes),
    )


async def _choose_currency(reader: _Reader, definition: Definition, period: Period) -> list[str]:
    """Fix the report's currency, and say which records it leaves out."""
    found = await reader.rows("currencies", period)
    if reader.currency is None and found:
        reader.currency = str(found[0]["currency"])
    others = [
        f"{int(row['records']):,} in {row['currency']}"
        for row in found
        if row["currency"] != reader.currency
    ]
    if not others:
        return []
    return [f"Not counted, {definition.records} in other currencies: {', '.join(others)}."]


async def _sums(reader: _Reader, definition: Definition, period: Period) -> _Sums:
    keys = ["records", *(measure.key for measure in definition.daily)]
    rows = await reader.rows("daily", period)
    daily = [{key: reader.number("daily", row, key) for key in keys} for row in rows]
    sums = {key: sum(row[key] for row in daily) for key in keys}
    if "totals" in definition.queries:
        row = (await reader.rows("totals", period))[0]
        sums |= {key: reader.number("totals", row, key) for key in row}
    return _Sums(daily=daily, sums=sums)


def _span(period: Period) -> Span:
    return Span(start=period.start, end=period.last, words=period.words())


def _notes(period: Period, compared: Period | None) -> Sequence[str]:
    notes = [
        f"{day:%A}, {day.day} {day:%B %Y} has {hours:g} hours in {period.time_zone}."
        for day, hours in period.odd_days()
    ]
    if compared and len(compared.days) != len(period.days):
        notes.append(
            f"Changes compare totals: {period.words()} has {len(period.days)} days, "
            f"{compared.words()} has {len(compared.days)}."
        )
    return notes


def _incomplete(period: Period, data_as_of: datetime | None) -> Sequence[str]:
    """Tell of a period whose end the data have not reached, or not passed."""
    if data_as_of is None:
        return []
    day = local_day(data_as_of, zone(period.time_zone))
    words = f"{day:%A}, {day.day} {day:%B %Y}"
    if day == period.last:
        return [f"The last day, {words}, may not be complete."]
    if period.start <= day < period.last:
        return [f"There are data up to {words} only; later days are empty."]
    return []


def shown(amount: int | Decimal, kind: Kind, currency: str | None) -> str:
    """Return a figure as the exact text that ``Figures`` carries."""
    match kind:
        case Kind.MONEY:
            return str(from_minor(amount, currency))
        case Kind.SHARE:
            return str(Decimal(amount).quantize(SHARE_STEP, ROUND_HALF_UP))
        case _:
            return str(Decimal(amount).quantize(Decimal(1), ROUND_HALF_UP))


def _kpi(kpi: KeyFigure, current: _Sums, before: _Sums | None, currency: str | None) -> Kpi:
    now = _value(kpi, current.sums)
    then = _value(kpi, before.sums) if before else None
    change = (now - then) / abs(then) if now is not None and then else None
    return Kpi(
        key=kpi.key,
        label=kpi.label,
        kind=kpi.kind,
        value=None if now is None else shown(now, kpi.kind, currency),
        before=None if then is None else shown(then, kpi.kind, currency),
        change=None if change is None else shown(change, Kind.SHARE, currency),
        better=kpi.better,
    )


def _value(kpi: KeyFigure, sums: Measures) -> Decimal | None:
    name = kpi.value or kpi.key
    for needed in (name, kpi.per):
        if needed is not None and needed not in sums:
            msg = f"key figure {kpi.key!r}: neither 'daily' nor 'totals' gives {needed!r}"
            raise ReportQueryFailed(msg)
    if kpi.per is None:
        return Decimal(sums[name])
    return Decimal(sums[name]) / sums[kpi.per] if sums[kpi.per] else None


def _trend(
    reader: _Reader,
    layout: TrendLayout,
    period: Period,
    lead: Sequence[Row],
    current: _Sums,
    before: _Sums | None,
) -> Trend:
    if layout.value not in current.sums:
        raise ReportQueryFailed(f"the trend shows {layout.value!r}, which 'daily' does not give")

    def texts(rows: Sequence[Row]) -> tuple[str, ...]:
        amounts = [reader.number("daily", row, layout.value) for row in rows]
        return tuple(shown(amount, layout.kind, reader.currency) for amount in amounts)

    days = [*(reader.lead.days if reader.lead else ()), *period.days]
    return Trend(
        title=layout.title,
        kind=layout.kind,
        days=tuple(days),
        values=texts(lead) + texts(current.daily),
        before=texts(before.daily) if before and not lead else (),
        lead=len(lead),
    )


def _daily(definition: Definition, period: Period, current: _Sums, currency: str | None) -> Table:
    def cells(measures: Measures) -> tuple[str, ...]:
        return tuple(shown(measures[m.key], m.kind, currency) for m in definition.daily)

    return Table(
        key="daily",
        title="By day",
        columns=(Column(key="day", label="Day", kind=Kind.DATE), *map(_column, definition.daily)),
        rows=tuple(
            (day.isoformat(), *cells(row))
            for day, row in zip(period.days, current.daily, strict=True)
        ),
        total=("Total", *cells(current.sums)),
    )


def _table(layout: TableLayout, found: Sequence[Row], sums: Measures, reader: _Reader) -> Table:
    """Lay a query out, with what its rows leave over of the period's sums as a last row."""
    keys = [measure.key for measure in layout.columns]
    rows = [
        (str(row["label"]), {key: reader.number(layout.query, row, key) for key in keys})
        for row in found
    ]
    additive = {measure.key for measure in reader.daily} >= set(keys)
    rest = {key: sums[key] - sum(row[key] for _, row in rows) for key in keys} if additive else {}
    if rows and any(rest.values()):
        rows.append(("All others", rest))
    columns = [Column(key="label", label=layout.label, kind=Kind.TEXT)]
    columns += [_column(measure) for measure in layout.columns]
    if layout.share:
        columns.append(Column(key="share", label="Share", kind=Kind.SHARE))

    def cells(label: str, row: Measures) -> tuple[str, ...]:
        texts = [shown(row[m.key], m.kind, reader.currency) for m in layout.columns]
        if layout.share:
            whole = sums.get(layout.share, 0)
            texts.append(
                shown(Decimal(row[layout.share]) / whole, Kind.SHARE, None) if whole else ""
            )
        return (label, *texts)

    return Table(
        key=layout.query,
        title=layout.title,
        columns=tuple(columns),
        rows=tuple(cells(label, row) for label, row in rows),
        total=cells("Total", sums) if rows and additive else None,
        note="Shares are rounded." if layout.share and rows else "",
    )


def _column(measure: Measure) -> Column:
    return Column(key=measure.key, label=measure.label, kind=measure.kind)

"""Collects the figures of a report by SQL, in one snapshot of the database.

The database aggregates, so memory does not grow with the rows. A query sees the local days as a
table ``days(day, starts_at, ends_at)``, whose edges were made in Python: exact in every zone, and
one text for SQLite and PostgreSQL.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import from_micros
from adapters.database.reports.layout import daily_table, key_figure, laid_out, trend_of
from adapters.database.reports.notes import incomplete, notes_on
from adapters.database.reports.querying import Reader, Tell, run_up, sums_of
from adapters.reports.definitions import Definition, load
from jobs.figures import Figures, Span
from jobs.periods import Period
from jobs.reports import DEFINITIONS, Compare, GenerateReport

NO_AUTOMATIC_INDEX: Final = "PRAGMA automatic_index=OFF"
AUTOMATIC_INDEX: Final = "PRAGMA automatic_index=ON"
"""SQLite, which knows no statistics, would build an index on any column that a query compares with
a constant, and then leave the index on the time unused: 66 s in place of 0.4 s."""


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
            reader = Reader(
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


async def _collect(
    reader: Reader, definition: Definition, period: Period, compared: Period | None
) -> Figures:
    notes = list(notes_on(period, compared))
    if definition.money:
        notes += await _choose_currency(reader, definition, period)
    newest = (await reader.rows("newest"))[0]["newest"]
    data_as_of = None if newest is None else from_micros(int(newest))
    notes += incomplete(period, data_as_of)
    current = await sums_of(reader, definition, period)
    before = await sums_of(reader, definition, compared) if compared else None
    lead = await reader.rows("daily", reader.lead) if reader.lead else ()
    tables = [
        laid_out(layout, await reader.rows(layout.query, period), current.sums, reader)
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
        kpis=tuple(key_figure(kpi, current, before, reader.currency) for kpi in definition.kpis),
        trend=trend_of(reader, definition.trend, period, lead, current, before),
        daily=daily_table(definition, period, current, reader.currency),
        tables=tuple(tables),
        definitions=tuple(definition.definitions.items()),
        notes=tuple(notes),
    )


async def _choose_currency(reader: Reader, definition: Definition, period: Period) -> list[str]:
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


def _span(period: Period) -> Span:
    return Span(start=period.start, end=period.last, words=period.words())

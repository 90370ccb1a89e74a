"""Runs the queries of one report: with the days in front, bounded, and counted for progress."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.metadata import to_micros
from adapters.reports.definitions import Definition
from jobs.periods import DAY, Period
from jobs.reports import GenerateReport, ReportQueryFailed

MAX_ROWS: Final = 1_000
"""Of a table; more is an export, not a report."""
DAYS_TO_CHART: Final = 7
RUN_UP_DAYS: Final = 14
"""Days in the chart of a shorter period, its own included."""

Row = Mapping[str, Any]
Measures = Mapping[str, int]
Tell = Callable[[int, int, str], None]
"""Told after each query: how many are done, of how many, and the name of this one."""


class Reader:
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


def run_up(period: Period) -> Period | None:
    """Return the days before a period of less than a week, so that its chart shows a course."""
    if len(period.days) >= DAYS_TO_CHART:
        return None
    start = period.end - RUN_UP_DAYS * DAY
    return Period(start=start, end=period.start, time_zone=period.time_zone)


def with_days(statement: str, edges: Sequence[int]) -> str:
    """Put the table ``days`` in front of a query; the edges are our own integers."""
    days = ", ".join(f"({day}, {start}, {end})" for day, (start, end) in enumerate(pairwise(edges)))
    head = f"WITH days(day, starts_at, ends_at) AS (VALUES {days})"
    first, _, rest = statement.partition(" ")
    return f"{head}, {rest}" if first.upper() == "WITH" else f"{head} {statement}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The figures of one period."""

    daily: Sequence[Measures]
    sums: Measures


async def sums_of(reader: Reader, definition: Definition, period: Period) -> Sums:
    """Return the figures of a period, by day and as a whole."""
    keys = ["records", *(measure.key for measure in definition.daily)]
    rows = await reader.rows("daily", period)
    daily = [{key: reader.number("daily", row, key) for key in keys} for row in rows]
    sums = {key: sum(row[key] for row in daily) for key in keys}
    if "totals" in definition.queries:
        row = (await reader.rows("totals", period))[0]
        sums |= {key: reader.number("totals", row, key) for key in row}
    return Sums(daily=daily, sums=sums)

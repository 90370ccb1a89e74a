"""Figures and fakes for tests of reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from jobs.figures import Better, Column, Figures, Kind, Kpi, Span, Table, Trend
from jobs.files import ObjectNotFound, StoredObject
from jobs.periods import Period
from jobs.reports import Compare, GenerateReport


def sales(period: Period, *, empty: bool = False, compared: bool = True) -> Figures:
    """Figures of a shop that sells for 1,234.50 on each day."""
    days = period.days
    amount = "0.00" if empty else "1234.50"
    revenue = "0.00" if empty else f"{1234.5 * len(days):.2f}"
    previous = period.previous()
    money = Column(key="revenue", label="Net revenue", kind=Kind.MONEY)
    share = Column(key="share", label="Share", kind=Kind.SHARE)
    return Figures(
        type="sales",
        title="Sales",
        description="What was sold",
        period=Span(start=period.start, end=period.last, words=period.words()),
        compared=Span(start=previous.start, end=previous.last, words=previous.words())
        if compared
        else None,
        time_zone=period.time_zone,
        currency="EUR",
        records="orders",
        rows_read=0 if empty else len(days),
        data_as_of=datetime(2027, 4, 1, 6, 30, tzinfo=UTC),
        empty=empty,
        kpis=(
            Kpi(
                key="revenue",
                label="Net revenue",
                kind=Kind.MONEY,
                value=revenue,
                before="1000.00",
                change=None if empty else "-0.1250",
                better=Better.UP,
            ),
            Kpi(key="average", label="Average order", kind=Kind.MONEY, value=None),
        ),
        trend=Trend(
            title="Net revenue by day",
            kind=Kind.MONEY,
            days=tuple(days),
            values=(amount,) * len(days),
            before=(amount,) * len(previous.days) if compared else (),
        ),
        daily=Table(
            key="daily",
            title="By day",
            columns=(Column(key="day", label="Day", kind=Kind.DATE), money),
            rows=tuple((day.isoformat(), amount) for day in days),
            total=("Total", revenue),
        ),
        tables=(
            Table(
                key="products",
                title="Best sellers",
                columns=(Column(key="label", label="Product", kind=Kind.TEXT), money, share),
                rows=()
                if empty
                else (
                    ("=HYPERLINK(A1)", amount, "0.6000"),
                    ("<script>alert(1)</script> #evil *b*", amount, "0.4000"),
                ),
                total=None if empty else ("Total", revenue, "1.0000"),
                note="Shares are rounded.",
            ),
        ),
        definitions=(("Net revenue", "Paid orders."),),
        notes=(),
    )


def march() -> Period:
    """March 2027 in Berlin, with its day of 23 hours."""
    return Period(start=date(2027, 3, 1), end=date(2027, 4, 1), time_zone="Europe/Berlin")


@dataclass
class ScriptedSource:
    """Gives the figures of ``sales``, after raising each of ``failures``."""

    failures: list[Exception] = field(default_factory=list)
    collected: list[Period] = field(default_factory=list)

    async def collect(
        self, job: GenerateReport, period: Period, tell: Callable[[int, int, str], None]
    ) -> Figures:
        self.collected.append(period)
        tell(1, 1, "daily")
        if self.failures:
            raise self.failures.pop(0)
        return sales(period, compared=job.compare is Compare.PREVIOUS)


@dataclass
class MemoryFiles:
    """Storage in a dictionary."""

    objects: dict[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    async def put(self, key: str, data: bytes) -> StoredObject:
        self.objects[key] = data
        return StoredObject(key=key, size=len(data))

    async def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectNotFound(key)
        return self.objects[key]

    async def download_url(self, key: str, ttl: timedelta) -> str | None:
        return self.links.get(key.rpartition("/")[2])

"""From sums to what a report shows: key figures, trend and tables, each figure an exact text."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from adapters.database.reports.querying import Measures, Reader, Row, Sums
from adapters.reports.definitions import Definition, KeyFigure, Measure, TableLayout, TrendLayout
from jobs.figures import Column, Kind, Kpi, Table, Trend
from jobs.money import from_minor
from jobs.periods import Period
from jobs.reports import ReportQueryFailed

SHARE_STEP: Final = Decimal("0.0001")


def shown(amount: int | Decimal, kind: Kind, currency: str | None) -> str:
    """Return a figure as the exact text that ``Figures`` carries."""
    match kind:
        case Kind.MONEY:
            return str(from_minor(amount, currency))
        case Kind.SHARE:
            return str(Decimal(amount).quantize(SHARE_STEP, ROUND_HALF_UP))
        case _:
            return str(Decimal(amount).quantize(Decimal(1), ROUND_HALF_UP))


def key_figure(kpi: KeyFigure, current: Sums, before: Sums | None, currency: str | None) -> Kpi:
    """Return a key figure, with its change since the period before."""
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


def trend_of(
    reader: Reader,
    layout: TrendLayout,
    period: Period,
    lead: Sequence[Row],
    current: Sums,
    before: Sums | None,
) -> Trend:
    """Return the course of a figure by day, and of the days before where it is short."""
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


def daily_table(
    definition: Definition, period: Period, current: Sums, currency: str | None
) -> Table:
    """Return the table with a row for each day and their sums."""

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


def laid_out(layout: TableLayout, found: Sequence[Row], sums: Measures, reader: Reader) -> Table:
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

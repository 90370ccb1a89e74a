"""The figures of reports, from real data with published totals, equal on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.database import Database, from_micros, shop_demo, to_micros, traffic
from adapters.database.reports import ReportSource
from adapters.database.shop import orders
from jobs.figures import Figures
from jobs.periods import local_day, zone
from jobs.reports import GenerateReport, ReportQueryFailed, ReportUndefined

NEW_YORK = "America/New_York"


async def collect(database: Database, *, folder: Path | None = None, **job: Any) -> Figures:
    request = GenerateReport.model_validate(job)
    source = ReportSource(database) if folder is None else ReportSource(database, folder)
    period = request.resolve(datetime(2026, 11, 24, 9, tzinfo=UTC), "UTC")
    return await source.collect(request, period, lambda *_: None)


def kpis(figures: Figures) -> dict[str, str | None]:
    return {kpi.key: kpi.value for kpi in figures.kpis}


async def put_orders(database: Database, *rows: tuple[str, int, str, str]) -> None:
    """Insert orders of (instant, minor amount, currency, status)."""
    values = [
        {
            "id": f"o{number}",
            "customer_id": f"c{number % 2}",
            "product_id": "p",
            "ordered_at": to_micros(datetime.fromisoformat(instant)),
            "status": status,
            "currency": currency,
            "country": "DE",
            "channel": "web",
            "amount_minor": amount,
            "quantity": 1,
        }
        for number, (instant, amount, currency, status) in enumerate(rows)
    ]
    async with database.begin() as connection:
        await connection.execute(database.insert(orders), values)


async def test_real_departures_have_the_published_totals_by_year_month_and_day(
    database: Database,
) -> None:
    assert await traffic.load_demo(database) == 336_776
    year = await collect(
        database, type="analytics", start="2013-01-01", end="2013-12-31", time_zone=NEW_YORK
    )
    places = {row[0]: row[1] for row in year.tables[0].rows}
    assert places == {"Newark": "120835", "John F. Kennedy": "111279", "LaGuardia": "104662"}
    assert year.daily.total == ("Total", "336776", "8255", "70774", "350217607")
    days = {row[0]: row[1] for row in year.daily.rows}
    published = {
        "2013-01-01": "842",
        "2013-03-10": "908",  # 23 hours
        "2013-11-03": "902",  # 25 hours
        "2013-12-31": "776",
    }
    assert published.items() <= days.items()
    march = await collect(
        database, type="analytics", start="2013-03-01", end="2013-03-31", time_zone=NEW_YORK
    )
    departures = march.kpis[0]
    assert (departures.value, departures.before) == ("28834", "24951")
    assert departures.change == "0.1556"
    assert march.rows_read == 28_834 + 24_951
    assert march.notes[0] == "Sunday, 10 March 2013 has 23 hours in America/New_York."


async def test_sales_of_the_demo_shop_are_those_of_its_orders_counted_one_by_one(
    database: Database,
) -> None:
    until = datetime(2025, 3, 1, tzinfo=UTC)
    assert await shop_demo.load_demo(database, until) == await shop_demo.load_demo(database, until)
    figures = await collect(
        database, type="sales", start="2025-02-01", end="2025-02-28", time_zone="Europe/Berlin"
    )
    made = [
        order
        for day in range(60)
        for order in shop_demo.day_of_orders(shop_demo.FIRST_DAY + timedelta(days=day))
        if order["status"] == "paid" and order["currency"] == "EUR"
    ]
    berlin = zone("Europe/Berlin")
    sold = [o for o in made if local_day(from_micros(o["ordered_at"]), berlin).month == 2]
    assert Decimal(kpis(figures)["revenue"] or 0) * 100 == sum(o["amount_minor"] for o in sold)
    assert kpis(figures)["paid"] == str(len(sold)) == "1140"
    assert kpis(figures)["buyers"] == str(len({o["customer_id"] for o in sold}))


async def test_every_table_adds_up_to_the_days(database: Database) -> None:
    await shop_demo.load_demo(database, datetime(2025, 3, 1, tzinfo=UTC))
    figures = await collect(
        database, type="sales", start="2025-01-10", end="2025-02-20", time_zone="UTC", top_n=3
    )
    days = sum(Decimal(row[1]) for row in figures.daily.rows)
    for table in figures.tables:
        place = [column.key for column in table.columns].index("revenue")
        assert sum(Decimal(row[place]) for row in table.rows) == days
        assert sum(Decimal(row[-1]) for row in table.rows) == pytest.approx(1, abs=0.001)
    assert days == Decimal(kpis(figures)["revenue"] or 0)


async def test_an_order_counts_on_its_local_day_and_currencies_are_not_added(
    database: Database,
) -> None:
    await put_orders(
        database,
        ("2027-03-27T22:59:59+00:00", 100, "EUR", "paid"),  # 23:59 on the 27th
        ("2027-03-27T23:00:00+00:00", 1_000, "EUR", "paid"),  # the first moment of the 28th
        ("2027-03-28T21:59:59+00:00", 10_005, "EUR", "paid"),  # the last of its 23 hours
        ("2027-03-28T22:00:00+00:00", 7, "EUR", "paid"),
        ("2027-03-28T12:00:00+00:00", 5_000, "USD", "paid"),
        ("2027-03-28T12:00:00+00:00", 9_999, "EUR", "refunded"),
    )
    figures = await collect(
        database, type="sales", start="2027-03-28", end="2027-03-28", time_zone="Europe/Berlin"
    )
    assert figures.currency == "EUR"
    assert kpis(figures)["revenue"] == "110.05"
    assert kpis(figures)["average_order"] == "55.03"
    assert "Not counted, orders in other currencies: 1 in USD." in figures.notes
    assert (len(figures.trend.days), figures.trend.lead) == (14, 13)


async def test_a_currency_without_minor_units_is_not_divided(database: Database) -> None:
    await put_orders(database, ("2027-03-28T12:00:00+00:00", 5_000, "JPY", "paid"))
    figures = await collect(
        database, type="sales", start="2027-03-28", end="2027-03-28", currency="JPY"
    )
    assert kpis(figures)["revenue"] == "5000"


async def test_a_period_without_data_gives_figures_that_say_so(database: Database) -> None:
    figures = await collect(database, type="sales", start="2027-01-01", end="2027-01-31")
    assert figures.empty
    assert figures.data_as_of is None
    assert [kpi.change for kpi in figures.kpis] == [None] * 4
    assert kpis(figures)["average_order"] is None


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ("2027-03-31", "There are data up to Sunday, 28 March 2027 only; later days are empty."),
        ("2027-03-28", "The last day, Sunday, 28 March 2027, may not be complete."),
    ],
)
async def test_days_that_the_data_have_not_reached_are_told(
    database: Database, end: str, note: str
) -> None:
    await put_orders(database, ("2027-03-28T12:00:00+00:00", 5_000, "EUR", "paid"))
    figures = await collect(database, type="sales", start="2027-03-01", end=end)
    assert note in figures.notes


async def test_a_report_of_ones_own_is_two_files(database: Database, tmp_path: Path) -> None:
    await put_orders(database, ("2027-03-28T12:00:00+00:00", 5_000, "EUR", "paid"))
    write_report(tmp_path, "count(orders.id) AS records, count(orders.id) AS n")
    figures = await collect(
        database, folder=tmp_path, type="sales", start="2027-03-28", end="2027-03-28"
    )
    assert (figures.title, kpis(figures)) == ("Mine", {"n": "1"})


async def test_a_query_without_a_column_of_the_layout_is_named(
    database: Database, tmp_path: Path
) -> None:
    write_report(tmp_path, "count(orders.id) AS records")
    with pytest.raises(ReportQueryFailed, match="query 'daily' gives no column 'n'"):
        await collect(database, folder=tmp_path, type="sales", start="2027-03-28", end="2027-03-28")


async def test_a_misspelt_layout_is_named(database: Database, tmp_path: Path) -> None:
    write_report(tmp_path, "count(orders.id) AS records", extra='colour = "red"')
    with pytest.raises(ReportUndefined, match=r"sales\.toml: colour: Extra inputs"):
        await collect(database, folder=tmp_path, type="sales", start="2027-03-28", end="2027-03-28")


def write_report(folder: Path, columns: str, extra: str = "") -> None:
    (folder / "sales.sql").write_text(
        "-- query: newest\nSELECT max(ordered_at) AS newest FROM orders;\n"
        f"-- query: daily\nSELECT days.day, {columns} FROM days LEFT JOIN orders\n"
        "ON ordered_at >= starts_at AND ordered_at < ends_at GROUP BY days.day ORDER BY 1;\n"
    )
    (folder / "sales.toml").write_text(
        f'title = "Mine"\ndescription = "d"\nrecords = "orders"\n{extra}\n'
        '[[kpis]]\nkey = "n"\nlabel = "N"\nkind = "count"\n'
        '[trend]\nvalue = "n"\ntitle = "N"\nkind = "count"\n'
        '[[daily]]\nkey = "n"\nlabel = "N"\nkind = "count"\n'
    )

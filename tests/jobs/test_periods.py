"""Local days, half-open periods, and the nights on which clocks change."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.periods import Period, RelativePeriod, day_length, day_start, zone


def hours(day: date, name: str) -> float:
    return day_length(day, zone(name)) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "name", "expected"),
    [
        (date(2027, 3, 28), "Europe/Berlin", 23),
        (date(2027, 10, 31), "Europe/Berlin", 25),
        (date(2027, 3, 14), "America/New_York", 23),
        (date(2027, 11, 7), "America/New_York", 25),
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2026, 9, 6), "America/Santiago", 23),
        (date(2011, 12, 30), "Pacific/Apia", 0),
        (date(2027, 6, 1), "Asia/Kolkata", 24),
    ],
)
def test_a_local_day_has_the_hours_its_zone_gives_it(day: date, name: str, expected: float) -> None:
    assert hours(day, name) == expected


def test_a_day_without_midnight_begins_when_the_clocks_change() -> None:
    assert day_start(date(2026, 9, 6), zone("America/Santiago")) == datetime(
        2026, 9, 6, 4, tzinfo=UTC
    )


def test_the_edges_of_a_month_leave_no_gap_and_no_overlap_over_a_change() -> None:
    march = Period(start=date(2027, 3, 1), end=date(2027, 4, 1), time_zone="Europe/Berlin")
    assert len(march.edges) == 32
    assert march.edges[0] == datetime(2027, 2, 28, 23, tzinfo=UTC)
    assert march.edges[-1] == datetime(2027, 3, 31, 22, tzinfo=UTC)
    assert march.odd_days() == [(date(2027, 3, 28), 23)]


@pytest.mark.parametrize(
    ("relative", "start", "end"),
    [
        (RelativePeriod.YESTERDAY, date(2027, 3, 27), date(2027, 3, 28)),
        (RelativePeriod.LAST_7_DAYS, date(2027, 3, 21), date(2027, 3, 28)),
        (RelativePeriod.LAST_MONTH, date(2027, 2, 1), date(2027, 3, 1)),
    ],
)
def test_a_relative_period_ends_before_the_local_day_it_is_due(
    relative: RelativePeriod, start: date, end: date
) -> None:
    late_in_utc = datetime(2027, 3, 27, 23, 30, tzinfo=UTC)  # 00:30 on the 28th in Berlin
    period = Period.resolve(relative, late_in_utc, "Europe/Berlin")
    assert (period.start, period.end) == (start, end)


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        (date(2027, 3, 1), date(2027, 4, 1), date(2027, 2, 1)),
        (date(2027, 1, 1), date(2028, 1, 1), date(2026, 1, 1)),
        (date(2027, 3, 8), date(2027, 3, 15), date(2027, 3, 1)),
        (date(2027, 1, 1), date(2027, 1, 2), date(2026, 12, 31)),
    ],
)
def test_months_are_compared_with_months_and_days_with_days(
    start: date, end: date, before: date
) -> None:
    previous = Period(start=start, end=end, time_zone="UTC").previous()
    assert (previous.start, previous.end) == (before, start)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (date(2027, 3, 28), date(2027, 3, 29), "Sunday, 28 March 2027"),
        (date(2027, 3, 1), date(2027, 4, 1), "March 2027"),
        (date(2027, 1, 1), date(2028, 1, 1), "2027"),
        (date(2027, 3, 8), date(2027, 3, 15), "8–14 March 2027"),
        (date(2027, 3, 28), date(2027, 4, 4), "28 March – 3 April 2027"),
        (date(2026, 12, 28), date(2027, 1, 4), "28 December 2026 – 3 January 2027"),
    ],
)
def test_a_period_is_told_in_words(start: date, end: date, words: str) -> None:
    assert Period(start=start, end=end, time_zone="UTC").words() == words


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime"])
def test_an_unknown_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match="no IANA time zone such as Europe/Berlin"):
        zone(name)

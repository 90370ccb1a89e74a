"""Ranges of local days: pure, without a clock.

A period runs from the first moment of one local day to the first moment of another and leaves the
latter out. A day's edges are made from its date and zone, never by adding 24 hours, so days of 23
and 25 hours, and zones without a midnight on some day, come out right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

MICROS: Final = 1_000_000
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
FULL_DAY_H: Final = 24
MONTHS: Final = 12


class RelativePeriod(StrEnum):
    """Whole days before the local day on which a report is due."""

    YESTERDAY = "yesterday"
    LAST_7_DAYS = "last_7_days"
    LAST_MONTH = "last_month"


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone ``name``; raise ``ValueError`` with the fix if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        msg = f"{name!r} is no IANA time zone such as Europe/Berlin"
        raise ValueError(msg) from None


def day_start(day: date, time_zone: ZoneInfo) -> datetime:
    """Return the first moment of a local day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=time_zone).astimezone(UTC)


def day_length(day: date, time_zone: ZoneInfo) -> timedelta:
    """Return how long a local day lasts; zero for a day that the zone skipped."""
    return day_start(day + DAY, time_zone) - day_start(day, time_zone)


def local_day(instant: datetime, time_zone: ZoneInfo) -> date:
    """Return the local day of an instant."""
    return instant.astimezone(time_zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole local days from ``start`` on, up to but not including ``end``."""

    start: date
    end: date
    time_zone: str

    @classmethod
    def resolve(cls, relative: RelativePeriod, as_of: datetime, time_zone: str) -> "Period":
        """Return the period that ``relative`` means at the instant ``as_of``."""
        today = local_day(as_of, zone(time_zone))
        this_month = today.replace(day=1)
        start, end = {
            RelativePeriod.YESTERDAY: (today - DAY, today),
            RelativePeriod.LAST_7_DAYS: (today - 7 * DAY, today),
            RelativePeriod.LAST_MONTH: (add_months(this_month, -1), this_month),
        }[relative]
        return cls(start=start, end=end, time_zone=time_zone)

    @property
    def last(self) -> date:
        """The last day that is included."""
        return self.end - DAY

    @property
    def days(self) -> Sequence[date]:
        """Each day, in order."""
        return [self.start + i * DAY for i in range((self.end - self.start).days)]

    @property
    def edges(self) -> Sequence[datetime]:
        """The first moment of each day and, last, of the day after: one more than there are days.

        Equal neighbours are a day that the zone skipped.
        """
        place = zone(self.time_zone)
        return [day_start(self.start + i * DAY, place) for i in range(len(self.days) + 1)]

    def previous(self) -> "Period":
        """Return the period to compare with, which ends where this one begins.

        Whole calendar months are compared with as many calendar months, anything else with as many
        days.
        """
        if self.start.day == 1 and self.end.day == 1:
            months = (self.end.year - self.start.year) * MONTHS + self.end.month - self.start.month
            start = add_months(self.start, -months)
        else:
            start = self.start - (self.end - self.start)
        return Period(start=start, end=self.start, time_zone=self.time_zone)

    def odd_days(self) -> Sequence[tuple[date, float]]:
        """Return the days that don't have 24 hours, with the hours they have."""
        place = zone(self.time_zone)
        lengths = [(day, day_length(day, place) / HOUR) for day in self.days]
        return [(day, hours) for day, hours in lengths if hours != FULL_DAY_H]

    def words(self) -> str:
        """Return the period as people say it: ``1–31 March 2027``."""
        first, last = self.start, self.last
        if first == last:
            return f"{first:%A}, {first.day} {first:%B %Y}"
        if self.end == add_months(first, 1) and first.day == 1:
            return f"{first:%B %Y}"
        if self == Period(
            start=date(first.year, 1, 1),
            end=date(first.year + 1, 1, 1),
            time_zone=self.time_zone,
        ):
            return str(first.year)
        if first.year != last.year:
            return f"{first.day} {first:%B %Y} – {last.day} {last:%B %Y}"
        if first.month != last.month:
            return f"{first.day} {first:%B} – {last.day} {last:%B %Y}"
        return f"{first.day}–{last.day} {last:%B %Y}"


def add_months(first: date, months: int) -> date:
    """Return the first of the month that is ``months`` after that of ``first``."""
    index = first.year * MONTHS + first.month - 1 + months
    return date(index // MONTHS, index % MONTHS + 1, 1)

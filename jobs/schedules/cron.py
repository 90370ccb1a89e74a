"""Cron expressions of five fields, as far as they meet the nights on which clocks change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from jobs.periods import DAY, day_length, day_start, zone

HORIZON: Final = timedelta(days=397)
"""Thirteen months: each change of the clocks is seen at least once."""

FULL_DAY: Final = timedelta(hours=24)
NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS: Final = ("minute", "hour", "day of month", "month", "weekday")
BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
NAMES: Final[Mapping[int, Sequence[str]]] = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
PART: Final = re.compile(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
SUNDAY: Final = 7


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments on a wall clock that an expression names."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    """Days of the month; None for every day."""
    months: frozenset[int]
    weekdays: frozenset[int] | None
    """0 is Sunday; None for every day."""

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read ``text``; raise ``ValueError`` with the field and the fix if it is none."""
        parts = NAMED.get(text.strip(), text).split()
        if len(parts) != len(FIELDS):
            msg = (
                f"{text!r} has {len(parts)} fields; write five, such as '0 9 * * MON-FRI' "
                "(minute, hour, day of month, month, weekday)"
            )
            raise ValueError(msg)
        minutes, hours, days, months, weekdays = (
            _values(part, place) for place, part in enumerate(parts)
        )
        return cls(
            minutes=minutes,
            hours=hours,
            days=None if parts[2].startswith("*") else days,
            months=months,
            weekdays=None if parts[4].startswith("*") else frozenset(day % 7 for day in weekdays),
        )

    def on(self, day: date) -> bool:
        """Whether the expression names moments on ``day``."""
        in_month = self.days is None or day.day in self.days
        in_week = self.weekdays is None or day.isoweekday() % SUNDAY in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return day.month in self.months and (in_month or in_week)
        return day.month in self.months and in_month and in_week

    def within(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the named moments between two readings of a wall clock, the latter left out."""
        minute = start
        while minute < end:
            if minute.minute in self.minutes and minute.hour in self.hours and self.on(minute):
                yield minute
            minute += timedelta(minutes=1)


def _values(part: str, place: int) -> frozenset[int]:
    lowest, highest = BOUNDS[place]
    found: set[int] = set()
    for piece in part.split(","):
        match = PART.fullmatch(piece)
        if match is None:
            msg = f"{FIELDS[place]}: {piece!r} is no number, range or '*'"
            raise ValueError(msg)
        step = int(match[4] or 1)
        if match[1] == "*":
            first, last = lowest, highest
        else:
            first = _number(match[2], place)
            last = _number(match[3], place) if match[3] else highest if match[4] else first
        if not (lowest <= first <= last <= highest and step > 0):
            msg = f"{FIELDS[place]}: {piece!r} is not within {lowest} to {highest}"
            raise ValueError(msg)
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, place: int) -> int:
    names = NAMES.get(place, ())
    if text.lower() in names:
        return names.index(text.lower()) + BOUNDS[place][0]
    if not text.isdecimal():
        msg = f"{FIELDS[place]}: {text!r} is no number"
        raise ValueError(msg)
    return int(text)


def clock_warnings(cron: Cron, time_zone: str, now: datetime) -> Sequence[str]:
    """Return a warning for each coming change of the clocks that skips or doubles a run.

    Temporal runs nothing at a time that the clocks skip, and may run twice at one that they repeat.
    """
    warnings = []
    for before, after in clock_changes(time_zone, now, now + HORIZON):
        first, last = sorted((before, after))
        for moment in cron.within(first, last):
            happens = "does not exist: no run" if after > before else "comes twice"
            warnings.append(f"{moment:%Y-%m-%d %H:%M} {happens} in {time_zone}")
            break
    return warnings


def clock_changes(
    time_zone: str, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield what the wall clock shows just as it is changed, before and after."""
    place = zone(time_zone)
    day = start.astimezone(place).date()
    while day_start(day, place) < end:
        if day_length(day, place) != FULL_DAY:
            low, high = day_start(day, place), day_start(day + DAY, place)
            offset = (low - timedelta(seconds=1)).astimezone(place).utcoffset()
            low -= timedelta(seconds=1)
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                if middle.astimezone(place).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            instant = high.replace(microsecond=0)
            old = offset or timedelta(0)
            yield (
                (instant + old).replace(tzinfo=None),
                instant.astimezone(place).replace(tzinfo=None),
            )
        day += DAY

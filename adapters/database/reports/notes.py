"""What a reader of a report must know about its period."""

from collections.abc import Sequence
from datetime import datetime

from jobs.periods import Period, local_day, zone


def notes_on(period: Period, compared: Period | None) -> Sequence[str]:
    """Tell of days that are no 24 hours, and of periods that differ in length."""
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


def incomplete(period: Period, data_as_of: datetime | None) -> Sequence[str]:
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

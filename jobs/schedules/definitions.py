"""``schedules.toml``: what runs when.

Every schedule has an id, a time zone, and one of ``cron`` and ``at``; it runs one of ``reports``
(made for the nominal day, once per local day) and ``kind`` with ``input`` (any job).
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from jobs.addresses import MailAddress
from jobs.base import Contract, Identifier
from jobs.errors import InvalidInputError, Problem
from jobs.periods import zone
from jobs.reports import GenerateReport
from jobs.schedules.cron import NAMED, Cron, clock_warnings

WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(value: Any) -> Any:
    """Read ``90s``, ``30m``, ``1h`` or ``2d`` as a time span."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    return timedelta(seconds=float(match[1]) * UNITS_S[match[2]]) if match else value


Duration = Annotated[timedelta, BeforeValidator(read_duration)]


class Overlap(StrEnum):
    """What to do when a run is due and the one before goes on."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW_ALL = "allow_all"


class ScheduleDefinition(Contract):
    """One schedule."""

    model_config = ConfigDict(extra="forbid")

    id: Identifier
    description: str = Field(default="", max_length=200)
    time_zone: str
    """IANA name; times are on its clocks."""
    cron: str | None = None
    """Five fields: minute, hour, day of month, month, weekday."""
    at: time | None = None
    """A time of day, in place of ``cron``."""
    weekdays: tuple[str, ...] = ()
    """With ``at``: only on these, ``["mon", "fri"]``."""
    month_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = ()
    """With ``at``: only on these days of the month."""
    overlap: Overlap = Overlap.SKIP
    catch_up: Duration = timedelta(hours=1)
    """How late a run may begin after the server was away; later ones are missed and told."""
    late_after: Duration = timedelta(hours=1)
    """A run that is not done by then raises an alert."""
    reports: tuple[GenerateReport, ...] = ()
    kind: str | None = None
    input: dict[str, Any] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return zone(value).key

    @field_validator("cron")
    @classmethod
    def _sound_cron(cls, value: str | None) -> str | None:
        if value is not None:
            Cron.parse(value)
        return value

    @field_validator("weekdays")
    @classmethod
    def _known_weekdays(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        short = tuple(day.lower()[:3] for day in value)
        if unknown := [day for day in short if day not in WEEKDAYS]:
            msg = f"{unknown[0]!r} is none of {', '.join(WEEKDAYS)}"
            raise ValueError(msg)
        return short

    @field_validator("catch_up", "late_after")
    @classmethod
    def _at_least_seconds(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=10):
            msg = "must be at least 10s"
            raise ValueError(msg)
        return value

    @field_serializer("catch_up", "late_after")
    def _in_seconds(self, value: timedelta) -> str:
        return f"{value.total_seconds():g}s"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.cron is None) == (self.at is None):
            msg = f"schedule {self.id!r}: give one of 'cron' and 'at'"
            raise ValueError(msg)
        if self.at is None and (self.weekdays or self.month_days):
            msg = f"schedule {self.id!r}: 'weekdays' and 'month_days' go with 'at'"
            raise ValueError(msg)
        if bool(self.reports) == (self.kind is not None):
            msg = f"schedule {self.id!r}: give one of 'reports' and 'kind'"
            raise ValueError(msg)
        return self

    @property
    def expression(self) -> str:
        """The schedule as a cron expression of five fields."""
        if self.cron is not None:
            return NAMED.get(self.cron.strip(), self.cron)
        at = self.at or time()
        days = ",".join(str(day) for day in self.month_days) or "*"
        weekdays = ",".join(self.weekdays).upper() or "*"
        return f"{at.minute} {at.hour} {days} * {weekdays}"

    def warnings(self, now: datetime) -> list[str]:
        """Return what the clocks will do to this schedule within 13 months."""
        return [*clock_warnings(Cron.parse(self.expression), self.time_zone, now)]


class ScheduleFile(Contract):
    """All of ``schedules.toml``."""

    model_config = ConfigDict(extra="forbid")

    alerts_to: Annotated[tuple[MailAddress, ...], Field(max_length=20)] = ()
    """Who gets a mail when a run is missed, late or failed."""
    schedule: tuple[ScheduleDefinition, ...] = ()

    @model_validator(mode="after")
    def _own_ids(self) -> Self:
        ids = [definition.id for definition in self.schedule]
        if doubles := {each for each in ids if ids.count(each) > 1}:
            msg = f"two schedules have the id {min(doubles)!r}"
            raise ValueError(msg)
        return self


def read_schedules(path: Path) -> ScheduleFile:
    """Read the file.

    Raises:
        InvalidInputError: it is missing or wrong; each place is named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError([Problem(path.name, error.strerror or "can't be read")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError([Problem(path.name, str(error))]) from None
    return parse_schedules(data)


def parse_schedules(data: Mapping[str, Any]) -> ScheduleFile:
    """Return the definitions in ``data``; raises as ``read_schedules``."""
    try:
        return ScheduleFile.model_validate(data, extra="forbid")
    except ValidationError as error:
        raise InvalidInputError(
            [
                Problem(
                    ".".join(str(part) for part in detail["loc"]),
                    "no such field"
                    if detail["type"] == "extra_forbidden"
                    else detail["msg"].removeprefix("Value error, "),
                )
                for detail in error.errors(include_url=False, include_context=False)
            ]
        ) from None

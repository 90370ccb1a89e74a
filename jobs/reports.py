"""Report jobs: figures over a range of local days, as files, mailed if asked for.

Queue ``reports``. The steps: collect the figures in one snapshot of the database; render and store
each format; compose the mail and send it to each address, as ``email`` jobs. Three attempts a step,
5 s then 10 s apart; a day in all, most of it for relays that say "later". The same input over the
same data gives the same bytes.

The types of report are the file pairs in ``templates/reports/``: ``<type>.sql`` has its queries,
``<type>.toml`` its layout.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from jobs.addresses import MailAddress
from jobs.base import NEVER_RETRIED, Contract, JobKind, Personal, Queue, Retention
from jobs.errors import PermanentError
from jobs.periods import DAY, Period, RelativePeriod, day_length, zone

DEFINITIONS: Final = Path(__file__).resolve().parent.parent / "templates" / "reports"
TYPES: Final = tuple(sorted(path.stem for path in DEFINITIONS.glob("*.sql")))
"""Every report there is, read once."""

MAX_YEARS: Final = 3
MAX_DAYS: Final = 3 * 366


class ReportFormat(StrEnum):
    """What a report can be written as."""

    PDF = "pdf"
    HTML = "html"
    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"


CONTENT_TYPES: Final = {
    ReportFormat.PDF: "application/pdf",
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.JSON: "application/json",
}


class Compare(StrEnum):
    """What the figures are compared with."""

    PREVIOUS = "previous"
    NONE = "none"


class Deliver(StrEnum):
    """How a mailed report carries its files."""

    ATTACHMENT = "attachment"
    LINK = "link"


class GenerateReport(Contract):
    """A report to make."""

    type: str = Field(json_schema_extra={"enum": list(TYPES)})
    """Which report."""
    time_zone: str | None = Field(default=None, examples=["Europe/Berlin"])
    """IANA name of the zone whose days are meant. Default: the setting ``CONVEYOR_TIME_ZONE``."""
    period: RelativePeriod | None = None
    """Days before the day on which the job is due, in place of ``start`` and ``end``."""
    start: date | None = None
    """First local day."""
    end: date | None = Field(default=None, validate_default=True)
    """Last local day, included."""
    formats: Annotated[tuple[ReportFormat, ...], Field(min_length=1, max_length=5)] = (
        ReportFormat.PDF,
    )
    compare: Compare = Compare.PREVIOUS
    """``previous``: with as many days, or calendar months, just before."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$", examples=["EUR"])
    """ISO 4217 code of the orders to count; currencies are never added up. Default: the one with
    most orders in the period."""
    top_n: int = Field(default=10, ge=1, le=100)
    """Rows of the tables of best sellers and the like."""
    deliver_to: Annotated[tuple[MailAddress, ...], Field(max_length=20), Personal] = ()
    """Addresses that get the report by mail, each a mail of its own."""
    deliver_as: Deliver = Deliver.ATTACHMENT

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if value not in TYPES:
            msg = f"no report {value!r}; known are: {', '.join(TYPES)}"
            raise ValueError(msg)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            zone(value)
        return value

    @field_validator("formats", "deliver_to")
    @classmethod
    def _no_doubles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            msg = "names one of them twice"
            raise ValueError(msg)
        return value

    @field_validator("start")
    @classmethod
    def _no_start_beside_period(cls, value: date | None, info: ValidationInfo) -> date | None:
        if value is not None and info.data.get("period") is not None:
            msg = "give either 'period', or 'start' and 'end'"
            raise ValueError(msg)
        return _existing_day(value, info)

    @field_validator("end")
    @classmethod
    def _sound_range(cls, value: date | None, info: ValidationInfo) -> date | None:
        if "start" not in info.data or "period" not in info.data:
            return value  # that field is already reported
        start, period = info.data["start"], info.data["period"]
        if (value is None and period is None) or (value is None) != (start is None):
            msg = "give 'start' and 'end', both days included, or a 'period' such as 'yesterday'"
            raise ValueError(msg)
        if value is None or start is None:
            return None
        if value < start:
            msg = f"lies before 'start', {start}"
            raise ValueError(msg)
        if value - start >= timedelta(days=MAX_DAYS) or value >= _years_after(start, MAX_YEARS):
            msg = f"a report covers at most {MAX_YEARS} years"
            raise ValueError(msg)
        return _existing_day(value, info)

    def resolve(self, as_of: datetime, default_time_zone: str) -> Period:
        """Return the days that are meant by a job that is due at ``as_of``."""
        time_zone = self.time_zone or default_time_zone
        if self.start is None or self.end is None:
            return Period.resolve(self.period or RelativePeriod.YESTERDAY, as_of, time_zone)
        return Period(start=self.start, end=self.end + DAY, time_zone=time_zone)


def _existing_day(day: date | None, info: ValidationInfo) -> date | None:
    """Refuse a day that the zone skipped, such as 30 December 2011 in Samoa."""
    name = info.data.get("time_zone")
    if day is not None and name is not None and not day_length(day, zone(name)):
        msg = f"{day} does not exist in {name}"
        raise ValueError(msg)
    return day


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)


class ReportFile(Contract):
    """One file of a report, in storage."""

    format: ReportFormat
    key: str
    name: str
    """For people: ``sales-2027-03-01-to-2027-03-31.pdf``."""
    content_type: str
    bytes: int
    sha256: str


class ReportResult(Contract):
    """What a report job made."""

    title: str
    start: date
    end: date
    """Last day, included."""
    time_zone: str
    currency: str | None = None
    kpis: dict[str, str]
    """Exact decimals: money in whole units of ``currency``, shares as fractions of 1."""
    rows_read: int
    """Records counted, those of the period compared with included."""
    data_as_of: datetime | None = None
    """Time of the newest record that the report's source held; null if it held none."""
    files: tuple[ReportFile, ...]
    delivered: int = 0
    """Mails that the relay took."""


class DailyReports(Contract):
    """What a schedule runs: reports that are due at its nominal time, each a job of its own."""

    reports: Annotated[tuple[GenerateReport, ...], Field(min_length=1, max_length=20)]
    time_zone: str = "UTC"
    """Whose days are meant; a report of the same type is made once per local day."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return zone(value).key


class DailyReportsResult(Contract):
    """What became of the reports."""

    due: datetime
    """The nominal time."""
    made: tuple[str, ...]
    """Ids of the jobs."""
    already_made: tuple[str, ...] = ()
    """Ids of jobs that an earlier run for the same day had begun."""


class ScheduledReportsFailed(PermanentError):
    """One or more of the reports that were due failed; the others were made."""


class ReportUndefined(PermanentError):
    """The report's file pair is missing or wrong; the message says where."""


class ReportQueryFailed(PermanentError):
    """A query of the report gave no usable figures."""


class ReportNotDelivered(PermanentError):
    """A mail of the report was refused; its files are stored and listed."""


COLLECT: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)
RENDER: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)
COMPOSE: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

REPORT: Final = JobKind(
    name="report",
    workflow="GenerateReport",
    input=GenerateReport,
    result=ReportResult,
    queue=Queue.REPORTS,
    deadline=timedelta(hours=24),
    steps={"reports.collect": COLLECT, "reports.render": RENDER, "reports.compose": COMPOSE},
    retention=Retention(completed=timedelta(hours=1), failed=timedelta(hours=24)),
    summarize=lambda job: f"{job.type} report, {job.period or f'{job.start} to {job.end}'}",
    example={
        "type": "sales",
        "start": "2026-10-01",
        "end": "2026-10-31",
        "time_zone": "Europe/Berlin",
        "formats": ["pdf", "html", "xlsx", "csv", "json"],
    },
)

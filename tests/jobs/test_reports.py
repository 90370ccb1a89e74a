"""What a report job takes, and how a wrong input is named."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.errors import InvalidInputError
from jobs.reports import REPORT, GenerateReport, ReportFormat
from jobs.validation import fingerprint, redact, validate

GOOD = {"type": "sales", "start": "2027-03-01", "end": "2027-03-31"}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"type": "sale"}, "type", "no report 'sale'; known are: analytics, sales, users"),
        ({"start": "2027-04-01"}, "end", "lies before 'start', 2027-04-01"),
        ({"end": "2030-03-01"}, "end", "a report covers at most 3 years"),
        ({"end": "2027-02-30"}, "end", "valid date"),
        ({"end": None}, "end", "give 'start' and 'end'"),
        ({"start": None}, "end", "give 'start' and 'end'"),
        ({"period": "yesterday"}, "start", "give either 'period', or 'start' and 'end'"),
        ({"time_zone": "Europe/Berln"}, "time_zone", "no IANA time zone such as Europe/Berlin"),
        ({"time_zone": "../zone"}, "time_zone", "no IANA time zone"),
        (
            {"time_zone": "Pacific/Apia", "start": "2011-12-30", "end": "2011-12-31"},
            "start",
            "2011-12-30 does not exist in Pacific/Apia",
        ),
        ({"formats": ["pdf", "doc"]}, "formats.1", "'pdf', 'html', 'xlsx', 'csv' or 'json'"),
        ({"formats": []}, "formats", "at least 1 item"),
        ({"formats": ["pdf", "pdf"]}, "formats", "names one of them twice"),
        ({"currency": "eur"}, "currency", "should match pattern"),
        ({"top_n": 0}, "top_n", "greater than or equal to 1"),
        ({"deliver_to": ["ada"]}, "deliver_to.0", "is no mail address"),
        ({"titel": "x"}, "titel", "no such field"),
    ],
)
def test_a_wrong_input_is_named_by_its_field(
    change: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        validate(GenerateReport, {**GOOD, **change})
    (problem,) = refusal.value.problems
    assert problem.field == field
    assert message in problem.message


def test_three_whole_years_are_allowed() -> None:
    job = validate(GenerateReport, {**GOOD, "start": "2024-02-29", "end": "2027-02-28"})
    assert len(job.resolve(datetime(2027, 1, 1, tzinfo=UTC), "UTC").days) == 1096


def test_both_days_are_included() -> None:
    period = validate(GenerateReport, GOOD).resolve(datetime(2027, 1, 1, tzinfo=UTC), "UTC")
    assert (period.start, period.last, len(period.days)) == (
        date(2027, 3, 1),
        date(2027, 3, 31),
        31,
    )


def test_a_relative_period_is_resolved_in_the_zone_of_the_job_else_the_default() -> None:
    at = datetime(2027, 3, 27, 23, 30, tzinfo=UTC)
    job = validate(GenerateReport, {"type": "sales", "period": "yesterday"})
    assert job.resolve(at, "UTC").start == date(2027, 3, 26)
    assert job.resolve(at, "Europe/Berlin").start == date(2027, 3, 27)


def test_the_example_of_the_kind_is_valid_in_every_format() -> None:
    job = validate(REPORT.input, REPORT.example)
    assert job.formats == tuple(ReportFormat)
    assert REPORT.summarize(job) == "sales report, 2026-10-01 to 2026-10-31"
    assert fingerprint(job) == fingerprint(validate(REPORT.input, REPORT.example))


def test_addresses_are_not_shown() -> None:
    data = {**GOOD, "deliver_to": ["ada@example.com"]}
    assert redact(GenerateReport, data)["deliver_to"] == "***"

"""When a reminder is due, and which inputs make none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.errors import InvalidInputError
from jobs.reminders import Reminder, due_at
from jobs.validation import validate

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
BASE: dict[str, Any] = {"user_id": "ada", "message": "Call the bank"}


def reminder(**fields: Any) -> Reminder:
    return validate(Reminder, {**BASE, **fields})


@pytest.mark.parametrize(
    ("local_time", "time_zone", "due"),
    [
        ("2026-12-01T09:00:00", "Europe/Berlin", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2027-03-28T02:30:00", "Europe/Berlin", datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),
        ("2026-10-25T02:30:00", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-11-01T01:30:00", "America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("2026-12-01T09:00:00", "Asia/Kathmandu", datetime(2026, 12, 1, 3, 15, tzinfo=UTC)),
    ],
    ids=["plain", "skipped by the clocks", "shown twice", "shown twice, overseas", "odd offset"],
)
def test_a_local_time_means_one_instant(local_time: str, time_zone: str, due: datetime) -> None:
    assert due_at(reminder(local_time=local_time, time_zone=time_zone), NOW) == due


def test_an_instant_with_offset_is_due_then() -> None:
    due = due_at(reminder(send_at="2026-12-01T09:00:00+05:00"), NOW)
    assert due == datetime(2026, 12, 1, 4, tzinfo=UTC)


def test_a_time_that_has_passed_is_sent_at_once() -> None:
    assert due_at(reminder(send_at="2026-09-30T09:00:00Z"), NOW) is None


@pytest.mark.parametrize("if_past", ["skip", "reject"])
def test_a_time_that_has_passed_is_refused_on_demand(if_past: str) -> None:
    with pytest.raises(InvalidInputError, match="send_at: was at 2026-09-30 09:00 UTC"):
        due_at(reminder(send_at="2026-09-30T09:00:00Z", if_past=if_past), NOW)


def test_a_time_beyond_five_years_is_refused() -> None:
    late = NOW + timedelta(days=6 * 366)
    with pytest.raises(InvalidInputError, match="send_at: is more than five years ahead"):
        due_at(reminder(send_at=late.isoformat()), NOW)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "give one of 'send_at'"),
        ({"send_at": "2026-12-01T09:00:00"}, "send_at: Input should have timezone info"),
        ({"local_time": "2026-12-01T09:00:00"}, "'local_time' and 'time_zone' go together"),
        (
            {"local_time": "2026-12-01T09:00:00", "time_zone": "Europe/Berln"},
            "time_zone: 'Europe/Berln' is no IANA time zone",
        ),
        (
            {"local_time": "2026-12-01T09:00:00+01:00", "time_zone": "Europe/Berlin"},
            "local_time: Input should not have timezone info",
        ),
        (
            {"send_at": "2026-12-01T09:00:00Z", "template": "welcome"},
            "give one of 'message' and 'template'",
        ),
        ({"local_time": "0001-01-01T00:00:00", "time_zone": "Asia/Tokyo"}, "out of range"),
        ({"send_at": "2026-12-01T09:00:00Z", "if_pst": "send"}, "did you mean 'if_past'"),
    ],
)
def test_a_wrong_input_names_the_field(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        reminder(**fields)
    assert problem in str(caught.value)


def test_a_password_reset_can_not_be_a_reminder() -> None:
    fields = {"user_id": "ada", "template": "password-reset", "send_at": "2026-12-01T09:00:00Z"}
    with pytest.raises(InvalidInputError, match="can't be a reminder"):
        validate(Reminder, fields)


def test_a_template_gets_its_variables_checked() -> None:
    fields = {"to": "ada@example.com", "template": "welcome", "send_at": "2026-12-01T09:00:00Z"}
    with pytest.raises(InvalidInputError, match=r"data\.name: is required by template 'welcome'"):
        validate(Reminder, fields)

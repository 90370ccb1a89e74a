"""What answers mean, and when an endpoint is left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from jobs.deliveries.answers import Answer, Meaning, judge, read_retry_after
from jobs.deliveries.breaker import (
    health_after,
    hindrance,
    is_disabled,
    is_warned,
    open_for,
)
from jobs.endpoints import Endpoint, EndpointHealth
from tests.jobs.test_endpoints import endpoint

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (Answer(status=200), Meaning.DELIVERED),
        (Answer(status=299), Meaning.DELIVERED),
        (Answer(status=301), Meaning.FAILED),
        (Answer(status=404), Meaning.FAILED),
        (Answer(status=410), Meaning.GONE),
        (Answer(status=500), Meaning.FAILED),
        (Answer(error_type="EndpointTimeout"), Meaning.FAILED),
        (Answer(status=200, error_type="EndpointTimeout"), Meaning.FAILED),
        (Answer(error_type="EndpointAddressRefused"), Meaning.REFUSED),
    ],
)
def test_each_answer_has_one_meaning(answer: Answer, meaning: Meaning) -> None:
    assert judge(answer, NOW).meaning is meaning


@pytest.mark.parametrize(
    ("status", "header", "pause", "overloaded"),
    [
        (503, "120", timedelta(seconds=120), False),
        (429, "120", timedelta(seconds=120), False),
        (429, None, None, True),
        (503, None, None, False),
        (502, "120", None, True),
        (504, None, None, True),
        (500, "120", None, False),
    ],
)
def test_throttling_answers_pause_or_slow_the_endpoint(
    status: int, header: str | None, pause: timedelta | None, overloaded: bool
) -> None:
    headers = {} if header is None else {"retry-after": header}
    verdict = judge(Answer(status=status, headers=headers), NOW)
    assert (verdict.retry_after, verdict.overloaded) == (pause, overloaded)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", timedelta(seconds=120)),
        (" 0 ", timedelta(0)),
        ("99999999999", timedelta(hours=24)),
        ("9" * 400, timedelta(hours=24)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        ("Tuesday, 24-Nov-26 08:05:00 GMT", timedelta(minutes=5)),
        ("Tue Nov 24 08:05:00 2026", timedelta(minutes=5)),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), timedelta(0)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\uff11\uff12", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    value: str | None, expected: timedelta | None
) -> None:
    assert read_retry_after(value, NOW) == expected


def failing(times: int, *, start: datetime = NOW, step: timedelta = SECOND) -> EndpointHealth:
    health, verdict = EndpointHealth(), judge(Answer(status=500), NOW)
    for number in range(times):
        health = health_after(health, verdict, start + step * number)
    return health


def with_health(health: EndpointHealth, **options: Any) -> Endpoint:
    return endpoint(health=health, **options)


def test_nine_failures_leave_the_circuit_closed_and_the_tenth_opens_it() -> None:
    nine, ten = failing(9), failing(10)
    assert nine.open_until is None
    assert ten.open_until == NOW + timedelta(seconds=9 + 30)
    held_up = hindrance(with_health(ten), 0, NOW + 10 * SECOND, forced=False)
    assert held_up is not None
    assert (held_up.reason, held_up.retry_after) == ("circuit open", timedelta(seconds=29))


def test_failures_that_were_under_way_when_it_opened_lengthen_nothing() -> None:
    assert failing(14).open_until == failing(10).open_until


def test_after_the_pause_one_probe_goes_out_and_no_second() -> None:
    health, later = failing(10), NOW + timedelta(minutes=1)
    assert hindrance(with_health(health), 0, later, forced=False) is None
    assert hindrance(with_health(health), 1, later, forced=False) is not None


def test_failing_probes_double_the_pause_up_to_five_minutes() -> None:
    pauses = [open_for(openings).total_seconds() for openings in range(6)]
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_a_success_closes_the_circuit_and_ends_every_pause() -> None:
    paused = health_after(
        failing(12), judge(Answer(status=429, headers={"retry-after": "60"}), NOW), NOW
    )
    delivered = health_after(paused, judge(Answer(status=200), NOW), NOW)
    assert delivered == EndpointHealth(last_success_at=NOW)


def test_a_person_can_probe_at_any_time() -> None:
    assert hindrance(with_health(failing(10)), 9, NOW, forced=True) is None


def test_an_overloaded_or_ordered_endpoint_gets_one_request_at_a_time() -> None:
    slow = health_after(EndpointHealth(), judge(Answer(status=504), NOW), NOW)
    assert hindrance(with_health(slow), 1, NOW, forced=False) is not None
    assert hindrance(endpoint(ordered=True), 1, NOW, forced=False) is not None
    assert hindrance(endpoint(), 3, NOW, forced=False) is None
    assert hindrance(endpoint(), 4, NOW, forced=False) is not None


@pytest.mark.parametrize(
    ("failures", "days", "warned", "disabled"),
    [
        (10, 2, False, False),
        (10, 3, True, False),
        (10, 5, True, True),
        (9, 30, False, False),
    ],
)
def test_days_of_failure_warn_and_then_disable(
    failures: int, days: int, warned: bool, disabled: bool
) -> None:
    health = failing(failures)
    at = NOW + timedelta(days=days)
    assert (is_warned(health, at), is_disabled(health, at)) == (warned, disabled)

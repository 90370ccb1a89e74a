"""Properties that hold for any input: contracts, the derived state, days and schedules."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from jobs import kinds, validation
from jobs.base import JobKind
from jobs.errors import InvalidInputError
from jobs.periods import Period, RelativePeriod, local_day, zone
from jobs.schedules.cron import Cron
from jobs.status import FINAL, JobState, derive_state

patiently = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=30)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)
ZONES = st.sampled_from(sorted(available_timezones() - {"localtime"}))
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


def fields_of(kind: JobKind[Any, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The kind's example with some of its contract's fields set to anything."""
    names = st.sampled_from([*kind.input.model_fields, "no such field"])
    return st.dictionaries(names, JSON, max_size=3).map(lambda changed: {**kind.example, **changed})


@pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.name)
@patiently
@given(data=st.data())
def test_an_input_is_refused_by_field_or_means_the_same_after_a_round_trip(
    kind: JobKind[Any, Any], data: st.DataObject
) -> None:
    given_input = data.draw(fields_of(kind))
    try:
        job = validation.validate(kind.input, given_input)
    except InvalidInputError as error:
        said = [problem.message for problem in error.problems]
        assert all(said or [""])
        return
    again = validation.validate(kind.input, job.model_dump(mode="json"))
    assert validation.fingerprint(again) == validation.fingerprint(job)


@patiently
@given(
    status=st.integers(0, 8),
    history_length=st.integers(0, 50),
    delay_s=st.integers(0, 10),
    pending=st.lists(
        st.builds(
            PendingActivityInfo,
            activity_id=st.sampled_from(["1of3", "2of3", "other"]),
            state=st.integers(0, 5),
            attempt=st.integers(0, 5),
            paused=st.booleans(),
        ),
        max_size=3,
    ),
)
def test_every_description_has_one_state_which_is_final_if_it_is_closed(
    status: int, history_length: int, delay_s: int, pending: list[PendingActivityInfo]
) -> None:
    description = DescribeWorkflowExecutionResponse(pending_activities=pending)
    info = description.workflow_execution_info
    info.status, info.history_length = status, history_length  # type: ignore[assignment]  # any int
    info.execution_time.FromSeconds(delay_s)
    state = derive_state(description)
    assert state in JobState
    assert (state in FINAL) == (status in {2, 3, 4, 5, 7})


@patiently
@given(time_zone=ZONES, start=DAYS, days=st.integers(1, 60))
def test_the_days_of_a_period_follow_each_other_without_gap(
    time_zone: str, start: date, days: int
) -> None:
    period = Period(start=start, end=start + timedelta(days=days), time_zone=time_zone)
    edges = period.edges
    assert len(edges) == days + 1
    assert all(first <= second for first, second in pairwise(edges))
    assert period.previous().end == period.start
    odd = sum(hours - 24 for _, hours in period.odd_days())
    assert (edges[-1] - edges[0]) / timedelta(hours=1) == pytest.approx(24 * days + odd)


@patiently
@given(
    relative=st.sampled_from(RelativePeriod),
    as_of=st.integers(1_577_836_800, 2_051_222_400),
    time_zone=ZONES,
)
def test_a_relative_period_ends_before_the_day_it_is_asked_on(
    relative: RelativePeriod, as_of: int, time_zone: str
) -> None:
    instant = datetime.fromtimestamp(as_of, UTC)
    period = Period.resolve(relative, instant, time_zone)
    assert period.start <= period.last < local_day(instant, zone(time_zone))


NUMBERS = st.tuples(
    *(st.integers(low, high) for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6)))
)


@patiently
@given(numbers=NUMBERS, shown=st.tuples(*[st.booleans()] * 5), start=DAYS)
def test_a_schedule_fires_only_at_minutes_that_it_names(
    numbers: tuple[int, ...], shown: tuple[bool, ...], start: date
) -> None:
    parts = [str(n) if show else "*" for n, show in zip(numbers, shown, strict=True)]
    midnight = datetime(start.year, start.month, start.day)  # noqa: DTZ001 - a wall clock's
    fired = list(Cron.parse(" ".join(parts)).within(midnight, midnight + timedelta(hours=30)))
    assert fired == sorted(set(fired))
    for moment in fired:
        assert midnight <= moment <= midnight + timedelta(hours=30)
        told = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
        named = [not show or n == at for n, show, at in zip(numbers, shown, told, strict=True)]
        either_day = shown[2] and shown[4]
        assert all(named[:2])
        assert named[3]
        assert (named[2] or named[4]) if either_day else (named[2] and named[4])

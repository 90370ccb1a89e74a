"""Schedules: what the file may say, what the clocks do to them, and what the server makes of it."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    ScheduleDescription,
)
from temporalio.service import RPCError

from jobs import kinds
from jobs.errors import InvalidInputError, ScheduleNotFoundError
from jobs.periods import zone
from jobs.reports import REPORT
from jobs.schedules import ScheduleFile, read_schedules
from jobs.schedules.client import Change, ScheduleClient, local_words
from jobs.schedules.cron import Cron, clock_changes, clock_warnings
from jobs.schedules.definitions import parse_schedules
from jobs.schedules.planning import planned
from jobs.schedules.runs import latest_runs
from jobs.schedules.watching import RunState

if TYPE_CHECKING:
    from jobs.base import Queue

ResultT = TypeVar("ResultT")

SHIPPED = Path(__file__).parents[2] / "schedules.toml"
REPORTS = [{"type": "sales", "period": "yesterday"}]


def file_of(name: str, **fields: Any) -> ScheduleFile:
    """A file with one schedule of reports."""
    definition = {"id": name, "time_zone": "Europe/Berlin", "reports": REPORTS, **fields}
    return parse_schedules({"schedule": [definition]})


async def eventually(look: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Return what ``look`` gives as soon as it gives something."""
    for _ in range(1200):
        try:
            return await look()
        except (RPCError, IndexError):
            await asyncio.sleep(0.1)
    return await look()


def of(changes: Any, name: str) -> Change:
    found: Change = next(change for change in changes if change.id == name)
    return found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cron": "0 9 * *"}, "has 4 fields; write five, such as '0 9 * * MON-FRI'"),
        ({"cron": "0 24 * * *"}, "hour: '24' is not within 0 to 23"),
        ({"cron": "0 9 * * FUNDAY"}, "weekday: 'FUNDAY' is no number"),
        ({"cron": "0 9 * * *", "at": "09:00"}, "give one of 'cron' and 'at'"),
        ({}, "give one of 'cron' and 'at'"),
        ({"at": "09:00", "weekdays": ["xyz"]}, "'xyz' is none of sun, mon"),
        ({"at": "25:00"}, "hour"),
        ({"cron": "0 9 * * *", "time_zone": "Mars/X"}, "no IANA time zone"),
        ({"cron": "0 9 * * *", "kind": "report"}, "give one of 'reports' and 'kind'"),
        ({"cron": "0 9 * * *", "catchup": "1h"}, "schedule.0.catchup: no such field"),
        ({"cron": "0 9 * * *", "reports": [{"type": "sale"}]}, "no report 'sale'"),
        ({"cron": "0 9 * * *", "catch_up": "1s"}, "must be at least 10s"),
    ],
)
def test_a_wrong_schedule_is_named_with_the_fix(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        file_of("s", **fields)
    assert message in str(refusal.value)


def test_the_shipped_file_is_sound_and_meets_no_change_of_the_clocks() -> None:
    file = read_schedules(SHIPPED)
    assert [each.id for each in file.schedule] == ["daily-summary", "weekly-sales"]
    assert [each.expression for each in file.schedule] == ["0 9 * * *", "15 9 * * MON"]
    assert [each.warnings(datetime(2027, 1, 1, tzinfo=UTC)) for each in file.schedule] == [[], []]


@pytest.mark.parametrize(
    ("cron", "time_zone", "warnings"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            [
                "2027-03-28 02:30 does not exist: no run in Europe/Berlin",
                "2027-10-31 02:30 comes twice in Europe/Berlin",
            ],
        ),
        ("30 1 * * *", "America/New_York", ["2027-11-07 01:30 comes twice in America/New_York"]),
        ("0 9 * * *", "Europe/Berlin", []),
        ("30 2 * * *", "UTC", []),
        ("30 2 * * MON-FRI", "Europe/Berlin", []),
        ("0 0 * * *", "America/Santiago", ["2027-09-05 00:00 does not exist: no run in America/"]),
    ],
)
def test_a_time_that_a_change_of_the_clocks_skips_or_doubles_is_warned_of(
    cron: str, time_zone: str, warnings: list[str]
) -> None:
    found = clock_warnings(Cron.parse(cron), time_zone, datetime(2027, 1, 15, tzinfo=UTC))
    assert len(found) == len(warnings)
    assert all(text.startswith(start) for text, start in zip(found, warnings, strict=True))


def test_the_changes_of_a_year_are_found_to_the_second() -> None:
    def reading(text: str) -> datetime:
        return datetime.fromisoformat(text)  # a wall clock has no zone

    year = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    assert list(clock_changes("Europe/Berlin", *year)) == [
        (reading("2027-03-28T02:00"), reading("2027-03-28T03:00")),
        (reading("2027-10-31T03:00"), reading("2027-10-31T02:00")),
    ]


async def test_applying_a_file_twice_changes_nothing_the_second_time(
    client: Client, unique: str
) -> None:
    schedules, file = ScheduleClient(client), file_of(unique, cron="0 9 * * *")
    dry = of(await schedules.apply(file, dry_run=True), unique)
    with pytest.raises(ScheduleNotFoundError):
        await schedules.show(unique)
    first, second = [of(await schedules.apply(file), unique) for _ in range(2)]
    assert (dry.action, first.action, second.action) == ("create", "create", "keep")


async def test_a_change_is_told_field_by_field_and_a_pause_stays(
    client: Client, unique: str
) -> None:
    schedules = ScheduleClient(client)
    await schedules.apply(file_of(unique, cron="0 9 * * *"))
    await schedules.pause(unique, "year-end closing")
    later = file_of(unique, cron="0 10 * * *", catch_up="2h")
    change = of(await schedules.apply(later), unique)
    assert change.action == "update"
    assert change.differences == (
        'catch_up: "3600s" -> "7200s"',
        'cron: "0 9 * * *" -> "0 10 * * *"',
    )
    info = await schedules.show(unique)
    assert (info.cron, info.paused, info.note) == ("0 10 * * *", True, "year-end closing")
    await schedules.resume(unique)
    assert not (await schedules.show(unique)).paused
    assert of(await schedules.apply(later), unique).action == "keep"


async def test_a_schedule_that_the_file_does_not_name_is_told_and_kept(
    client: Client, unique: str
) -> None:
    schedules = ScheduleClient(client)
    await schedules.apply(file_of(unique, cron="0 9 * * *"))
    other, changes = file_of(f"{unique}-other", cron="0 9 * * *"), dict[str, str]()
    async with asyncio.timeout(120):
        while unique not in changes:  # the index follows a moment later
            changes = {change.id: change.action for change in await schedules.apply(other)}
    assert changes[unique] == "unknown"
    assert (await schedules.show(unique)).id == unique


@pytest.fixture
def report_kind(monkeypatch: pytest.MonkeyPatch, unique: str) -> None:
    """The one kind that these tests schedule by its name, on a queue that no worker polls."""
    kind = dataclasses.replace(REPORT, queue=cast("Queue", f"{unique}-nobody"))
    monkeypatch.setattr(kinds, "KINDS", {REPORT.name: kind})


@pytest.mark.usefixtures("report_kind")
async def test_a_queue_without_a_worker_is_warned_of(client: Client, unique: str) -> None:
    file = parse_schedules(
        {
            "schedule": [
                {
                    "id": unique,
                    "time_zone": "UTC",
                    "cron": "30 2 * * *",
                    "kind": "report",
                    "input": {"type": "sales", "period": "yesterday"},
                }
            ]
        }
    )
    change = of(await ScheduleClient(client).apply(file, dry_run=True), unique)
    assert change.warnings == (f"no worker polls the queue '{unique}-nobody': runs wait",)


@pytest.mark.usefixtures("report_kind")
async def test_a_wrong_input_of_a_kind_is_named_before_anything_is_applied(
    client: Client, unique: str
) -> None:
    job = {"id": unique, "time_zone": "UTC", "cron": "0 9 * * *", "kind": "report"}
    good = {**job, "id": f"{unique}-good", "input": {"type": "sales", "period": "yesterday"}}
    bad = {**job, "input": {"type": "sale", "period": "yesterday"}}
    schedules = ScheduleClient(client)
    with pytest.raises(InvalidInputError, match=rf"{unique}\.input\.type: no report 'sale'"):
        await schedules.apply(parse_schedules({"schedule": [good, bad]}))
    with pytest.raises(ScheduleNotFoundError):
        await schedules.show(f"{unique}-good")


@pytest.mark.parametrize(
    ("time_zone", "nights"),
    [
        ("Europe/Berlin", [date(2027, 3, 28), date(2027, 10, 31)]),
        ("America/New_York", [date(2027, 3, 14), date(2027, 11, 7)]),
    ],
)
async def test_nine_in_the_morning_comes_once_a_day_over_both_changes_of_the_clocks(
    client: Client, unique: str, time_zone: str, nights: list[date]
) -> None:
    schedules, place = ScheduleClient(client), zone(time_zone)
    await schedules.apply(file_of(unique, cron="0 9 * * *", time_zone=time_zone))
    for night in nights:
        first = datetime(night.year, night.month, night.day, tzinfo=place) - timedelta(days=2)
        times = await schedules.preview(unique, first, first + timedelta(days=5))
        local = [moment.astimezone(place) for moment in times]
        assert [each.date() for each in local] == [
            night + timedelta(days=offset) for offset in range(-2, 3)
        ]
        assert {(each.hour, each.minute) for each in local} == {(9, 0)}


async def test_a_backfill_runs_each_nominal_time_of_the_past_once(
    client: Client, unique: str
) -> None:
    schedules = ScheduleClient(client)
    await schedules.apply(file_of(unique, cron="0 9 * * *"))
    start = datetime(2027, 3, 27, 8, tzinfo=UTC) - timedelta(days=400)
    times = await schedules.backfill(unique, start, start + timedelta(days=2))
    assert len(times) == 3
    for moment in times:
        handle = client.get_workflow_handle(f"{unique}-{moment:%Y-%m-%dT%H:%M:%SZ}")
        description = await eventually(handle.describe)
        assert description.workflow_type == "DailyReports"
        await handle.terminate()


async def test_a_paused_schedule_can_be_triggered(client: Client, unique: str) -> None:
    schedules = ScheduleClient(client)
    await schedules.apply(file_of(unique, at="09:00"))
    await schedules.pause(unique, "holidays")
    await schedules.trigger(unique)

    async def begun() -> ScheduleActionExecutionStartWorkflow:
        description = await client.get_schedule_handle(unique).describe()
        action = description.info.recent_actions[-1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        return action

    action = await eventually(begun)
    assert action.workflow_id.startswith(unique)
    await client.get_workflow_handle(action.workflow_id).terminate()


async def described(client: Client, name: str, **info: Any) -> ScheduleDescription:
    """The schedule ``name`` as it would be a day after it was made."""
    description = await client.get_schedule_handle(name).describe()
    made = datetime.now(UTC) - timedelta(days=1)
    return dataclasses.replace(
        description,
        info=dataclasses.replace(description.info, created_at=made, last_updated_at=None, **info),
    )


async def test_runs_that_did_not_start_failed_or_go_on_too_long_are_told(
    client: Client, unique: str
) -> None:
    file = file_of(unique, cron="0 * * * *", time_zone="UTC", catch_up="10m", late_after="30m")
    await ScheduleClient(client).apply(file)
    now = datetime.now(UTC).replace(minute=50, second=0, microsecond=0)
    begun = []
    for hours, name in enumerate(("late", "failed", "done")):
        handle = await client.start_workflow(
            "Nothing", id=f"{unique}-{name}", task_queue=f"{unique}-nobody"
        )
        if name == "failed":
            await handle.terminate()
        if name == "done":
            await handle.cancel()
        nominal = now.replace(minute=0) - timedelta(hours=hours)
        action = ScheduleActionExecutionStartWorkflow(
            workflow_id=handle.id, first_execution_run_id=handle.first_execution_run_id or ""
        )
        begun.append(ScheduleActionResult(scheduled_at=nominal, started_at=nominal, action=action))
    description = await described(client, unique, recent_actions=begun)
    runs = await latest_runs(client, description, planned(file.schedule[0]).plan, now)
    states = [run.state for run in runs]
    assert states[0] is RunState.LATE
    assert states[1] is RunState.FAILED
    assert states[2] is RunState.LATE  # its cancellation waits for a worker
    assert set(states[3:]) == {RunState.MISSED}
    assert runs[3].words() == f"{runs[3].nominal:%Y-%m-%d %H:%M} UTC did not start"


async def test_what_was_due_during_a_pause_is_not_called_missed(
    client: Client, unique: str
) -> None:
    file = file_of(unique, cron="0 * * * *", time_zone="UTC")
    schedules, plan = ScheduleClient(client), planned(file.schedule[0]).plan
    await schedules.apply(file)
    now = datetime.now(UTC)
    assert await latest_runs(client, await described(client, unique), plan, now)
    await schedules.pause(unique, "closing")
    assert await latest_runs(client, await described(client, unique), plan, now) == []
    await schedules.resume(unique)
    assert await latest_runs(client, await described(client, unique), plan, now) == []


async def test_deleting_is_final_and_an_unknown_id_is_told(client: Client, unique: str) -> None:
    schedules = ScheduleClient(client)
    await schedules.apply(file_of(unique, cron="0 9 * * *"))
    await schedules.delete(unique)
    for act in (schedules.delete, schedules.resume, schedules.trigger, schedules.show):
        with pytest.raises(ScheduleNotFoundError, match="schedules list"):
            await act(unique)


def test_a_nominal_time_is_shown_on_the_clocks_of_its_zone() -> None:
    moment = datetime(2027, 3, 28, 7, tzinfo=UTC)
    assert local_words(moment, "Europe/Berlin") == "Sun 2027-03-28 09:00 +02:00"

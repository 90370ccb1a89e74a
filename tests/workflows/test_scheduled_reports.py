"""Schedules of reports on a real server, over the nights of 2027 on which clocks change."""

import asyncio
from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.reports import ReportActivities
from adapters.reports.renderer import ReportRenderer
from jobs.base import Queue
from jobs.periods import zone
from jobs.schedules.client import ScheduleClient
from jobs.schedules.definitions import parse_schedules
from tests.reporting import MemoryFiles, ScriptedSource
from workflows.reports import DailyReportsWorkflow, GenerateReportWorkflow
from workflows.sandbox import RUNNER


@pytest.mark.parametrize(
    ("time_zone", "cron", "night", "runs"),
    [
        ("Europe/Berlin", "0 9 * * *", date(2027, 3, 28), 5),
        ("Europe/Berlin", "0 9 * * *", date(2027, 10, 31), 5),
        ("America/New_York", "0 9 * * *", date(2027, 3, 14), 5),
        ("America/New_York", "0 9 * * *", date(2027, 11, 7), 5),
        # The server runs this one twice in the night; the report is made once.
        ("America/New_York", "30 1 * * *", date(2027, 11, 7), 6),
    ],
)
async def test_each_day_around_a_change_of_the_clocks_is_reported_once(
    client: Client, unique: str, time_zone: str, cron: str, night: date, runs: int
) -> None:
    definition = {
        "id": unique,
        "time_zone": time_zone,
        "cron": cron,
        "reports": [{"type": "sales", "period": "yesterday", "formats": ["json"]}],
    }
    schedules, source = ScheduleClient(client), ScriptedSource()
    await schedules.apply(parse_schedules({"schedule": [definition]}))
    first = datetime(night.year, night.month, night.day, tzinfo=zone(time_zone))
    first -= timedelta(days=2)
    steps = ReportActivities(source, ReportRenderer("Test"), MemoryFiles(), "UTC")
    async with Worker(
        client,
        task_queue=Queue.REPORTS,
        workflows=[DailyReportsWorkflow, GenerateReportWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        times = await schedules.backfill(unique, first, first + timedelta(days=4, hours=12))
        assert len(times) == runs
        for moment in times:
            await done(client, f"{unique}-{moment:%Y-%m-%dT%H:%M:%SZ}")
    days = [night + timedelta(days=offset) for offset in range(-3, 2)]
    # The queue is the server's one for reports: what other tests left there is made as well.
    reported = [period for period in source.collected if period.start in days]
    assert Counter(period.start for period in reported) == Counter(days)
    assert {period.time_zone for period in reported} == {time_zone}


async def done(client: Client, run: str) -> None:
    """Wait until the schedule's run has begun and ended well."""
    while not [each async for each in client.list_workflows(f"WorkflowId = '{run}'")]:  # noqa: ASYNC110 - the server tells no event
        await asyncio.sleep(0.1)
    await client.get_workflow_handle(run).result()

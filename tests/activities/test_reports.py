"""The steps of a report: each repeats without harm and says how far it is."""

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities import reports
from activities.reports import Collect, Collected, Compose, Render, ReportActivities
from adapters.reports.renderer import ReportRenderer
from jobs.figures import Figures
from jobs.files import ObjectNotFound
from jobs.periods import Period
from jobs.reports import Deliver, GenerateReport, ReportFormat
from tests.reporting import MemoryFiles, ScriptedSource

AS_OF = datetime(2027, 3, 27, 23, 30, tzinfo=UTC)


@dataclass
class SlowSource(ScriptedSource):
    """Answers one long query only when it ``may``."""

    may: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def collect(
        self, job: GenerateReport, period: Period, tell: Callable[[int, int, str], None]
    ) -> Figures:
        figures = await super().collect(job, period, tell)
        await self.may.wait()
        return figures


def environment(job: str = "report-1") -> ActivityEnvironment:
    found = ActivityEnvironment()
    found.info = dataclasses.replace(found.info, workflow_id=job, activity_type="reports.collect")
    return found


def steps(files: MemoryFiles, source: ScriptedSource | None = None) -> ReportActivities:
    return ReportActivities(
        source or ScriptedSource(), ReportRenderer("Test"), files, "Europe/Berlin"
    )


def task(**job: Any) -> Collect:
    return Collect(
        job=GenerateReport.model_validate({"type": "sales", "period": "yesterday", **job}),
        as_of=AS_OF,
    )


async def collect(files: MemoryFiles) -> Collected:
    return await environment().run(steps(files).collect, task())


async def test_collecting_resolves_the_days_in_the_default_zone() -> None:
    collected = await collect(MemoryFiles())
    assert (collected.start, collected.end) == (date(2027, 3, 27), date(2027, 3, 27))
    assert (collected.time_zone, collected.name) == ("Europe/Berlin", "sales-2027-03-27")


async def test_collecting_twice_stores_the_same_object() -> None:
    files = MemoryFiles()
    assert await collect(files) == await collect(files)
    assert [key.split("/")[:2] for key in files.objects] == [["jobs", "report-1"]]


async def test_a_long_query_keeps_telling_its_last_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "BEAT_S", 0.05)
    beats: list[Any] = []
    source, surroundings = SlowSource(), environment()

    def beat(progress: Any, *_: Any) -> None:
        beats.append(progress)
        if len(beats) == 3:
            source.may.set()

    surroundings.on_heartbeat = beat
    await surroundings.run(steps(MemoryFiles(), source).collect, task())
    assert len(beats) >= 3
    assert {(beat.step, beat.done, beat.total, beat.message) for beat in beats} == {
        ("collect", 1, 1, "daily")
    }


async def test_rendering_twice_gives_one_file_under_a_key_of_its_content() -> None:
    files = MemoryFiles()
    collected = await collect(files)
    render = Render(figures_key=collected.figures_key, name=collected.name, format=ReportFormat.CSV)
    first, second = [await environment().run(steps(files).render, render) for _ in range(2)]
    assert first == second
    assert first.key == f"reports/report-1/{first.sha256[:12]}/sales-2027-03-27.csv"
    assert files.objects[first.key].startswith(b"table,label,figure,value\r\n")


async def test_figures_that_are_gone_fail_the_step_for_good() -> None:
    render = Render(figures_key="jobs/report-1/gone.json", name="n", format=ReportFormat.PDF)
    with pytest.raises(ObjectNotFound):
        await environment().run(steps(MemoryFiles()).render, render)


async def test_a_mail_without_links_carries_its_files() -> None:
    files = MemoryFiles()
    collected = await collect(files)
    render = Render(
        figures_key=collected.figures_key, name=collected.name, format=ReportFormat.JSON
    )
    file = await environment().run(steps(files).render, render)
    compose = Compose(figures_key=collected.figures_key, files=(file,), deliver_as=Deliver.LINK)
    composed = await environment().run(steps(files).compose, compose)
    assert (composed.links, composed.attachments) == ({}, (file.key,))
    assert composed.chart_key is not None
    assert files.objects[composed.chart_key].startswith(b"\x89PNG")
    assert composed.period == "Saturday, 27 March 2027 (Europe/Berlin)"

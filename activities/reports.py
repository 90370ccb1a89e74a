"""Steps of the report job: collect, render each format, compose the mail."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol, TypeVar

from temporalio import activity

from activities import progress
from activities.working import job_folder
from jobs.base import Contract
from jobs.figures import Figures
from jobs.files import StoredObject
from jobs.periods import Period
from jobs.reports import CONTENT_TYPES, Deliver, GenerateReport, ReportFile, ReportFormat

BEAT_S: Final = 5.0
"""How often a step that waits for a query or a renderer says that it lives."""
LINK_LIFETIME: Final = timedelta(days=7)
HASH_CHARS: Final = 12

ValueT = TypeVar("ValueT")


class Collect(Contract):
    """What figures to collect."""

    job: GenerateReport
    as_of: datetime
    """The instant at which the job is due, for relative periods."""


class Collected(Contract):
    """Where the figures are, and the few that the result shows."""

    figures_key: str
    name: str
    """Of the report's files, without format: ``sales-2027-03-01-to-2027-03-31``."""
    title: str
    start: date
    end: date
    time_zone: str
    currency: str | None
    kpis: dict[str, str]
    rows_read: int
    data_as_of: datetime | None


class Render(Contract):
    """One file to make."""

    figures_key: str
    name: str
    format: ReportFormat


class Compose(Contract):
    """What the mail is about."""

    figures_key: str
    files: tuple[ReportFile, ...]
    deliver_as: Deliver


class Composed(Contract):
    """What every recipient's mail holds."""

    title: str
    period: str
    figures: dict[str, str]
    links: dict[str, str]
    """Label and link of each file, where links were asked for and the store gives them."""
    attachments: tuple[str, ...]
    """Keys of the files that go with it."""
    chart_key: str | None
    chart_text: str


class Source(Protocol):
    """Where figures come from."""

    async def collect(
        self, job: GenerateReport, period: Period, tell: Callable[[int, int, str], None]
    ) -> Figures:
        """Return the figures over ``period``, all from one state of the data.

        Raises:
            ReportUndefined: the report's definition is missing or wrong.
            ReportQueryFailed: a query of it gave no usable figures.
            TransientError: anything that another attempt may mend.
        """
        ...


class Renderer(Protocol):
    """Turns figures into files."""

    async def render(self, figures: Figures, report_format: ReportFormat) -> bytes:
        """Return the file: the same bytes for the same figures."""
        ...

    async def chart(self, figures: Figures) -> bytes:
        """Return the report's chart as PNG."""
        ...

    def summary(self, figures: Figures) -> Mapping[str, str]:
        """Return the key figures as people read them, by label."""
        ...


class Files(Protocol):
    """The part of storage that these steps use."""

    async def put(self, key: str, data: bytes) -> StoredObject:
        """Store ``data`` under ``key``."""
        ...

    async def get(self, key: str) -> bytes:
        """Return what is under ``key``."""
        ...

    async def download_url(self, key: str, ttl: timedelta) -> str | None:
        """Return a link that works for ``ttl``, or None where the store gives none."""
        ...


@dataclass(frozen=True, slots=True)
class ReportActivities:
    """Steps of the report job, over a source of figures, a renderer and storage."""

    source: Source
    renderer: Renderer
    files: Files
    time_zone: str
    """Of reports that name none."""

    @activity.defn(name="reports.collect")
    async def collect(self, task: Collect) -> Collected:
        """Query the figures and store them for the steps that follow.

        Idempotent: it only reads, and the key of what it stores is made of its content.
        """
        job = task.job
        period = job.resolve(task.as_of, self.time_zone)
        beats = _Beats(f"{job.type}, {period.words()}")
        figures = await beats.while_waiting(self.source.collect(job, period, beats.tell))
        data = figures.model_dump_json().encode()
        key = f"jobs/{job_folder()}/figures-{_hash(data)}.json"
        await self.files.put(key, data)
        return Collected(
            figures_key=key,
            name=f"{job.type}-{period.start}"
            + ("" if period.start == period.last else f"-to-{period.last}"),
            title=figures.title,
            start=period.start,
            end=period.last,
            time_zone=period.time_zone,
            currency=figures.currency,
            kpis={kpi.key: kpi.value for kpi in figures.kpis if kpi.value is not None},
            rows_read=figures.rows_read,
            data_as_of=figures.data_as_of,
        )

    @activity.defn(name="reports.render")
    async def render(self, task: Render) -> ReportFile:
        """Render one format and store it.

        Idempotent: the same figures give the same bytes, under a key made of them.
        """
        beats = _Beats(task.format)
        beats.tell(0, 1, task.format)
        figures = await self._figures(task.figures_key)
        data = await beats.while_waiting(self.renderer.render(figures, task.format))
        name = f"{task.name}.{task.format}"
        key = f"reports/{job_folder()}/{_hash(data)}/{name}"
        await self.files.put(key, data)
        beats.tell(1, 1, task.format)
        return ReportFile(
            format=task.format,
            key=key,
            name=name,
            content_type=CONTENT_TYPES[task.format],
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )

    @activity.defn(name="reports.compose")
    async def compose(self, task: Compose) -> Composed:
        """Prepare what the mails hold: key figures, chart, links or attachments.

        Idempotent: it stores the chart under a key made of its content.
        """
        figures = await self._figures(task.figures_key)
        links: dict[str, str] = {}
        if task.deliver_as is Deliver.LINK:
            for file in task.files:
                if link := await self.files.download_url(file.key, LINK_LIFETIME):
                    links[file.name] = link
        chart_key = None
        if not figures.empty:
            chart = await self.renderer.chart(figures)
            chart_key = f"jobs/{job_folder()}/{_hash(chart)}/chart.png"
            await self.files.put(chart_key, chart)
        return Composed(
            title=figures.title,
            period=f"{figures.period.words} ({figures.time_zone})",
            figures={"No data": f"no {figures.records} in this period"}
            if figures.empty
            else dict(self.renderer.summary(figures)),
            links=links,
            attachments=tuple(file.key for file in task.files if file.name not in links),
            chart_key=chart_key,
            chart_text=f"{figures.trend.title}, {figures.period.words}",
        )

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.collect, self.render, self.compose)

    async def _figures(self, key: str) -> Figures:
        return Figures.model_validate_json(await self.files.get(key))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:HASH_CHARS]


class _Beats:
    """Heartbeats of a step that waits for one long call after another."""

    def __init__(self, message: str) -> None:
        self._last: tuple[int, int | None, str] = (0, None, message)

    def tell(self, done: int, total: int, message: str) -> None:
        """Report progress; called after each unit of work."""
        self._last = (done, total, message)
        self._beat()

    async def while_waiting(self, work: Awaitable[ValueT]) -> ValueT:
        """Return what ``work`` gives, and repeat the last progress until then."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=BEAT_S))[0]:
                self._beat()
            return task.result()
        finally:
            task.cancel()

    def _beat(self) -> None:
        done, total, message = self._last
        progress.report(done, total, unit="steps", message=message)

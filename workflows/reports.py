"""Make one report; make the reports that a schedule says are due."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from activities.reports import Collect, Collected, Compose, Composed, Render, ReportActivities
from jobs.emails import EMAIL, Delivery, Email, EmailReceipt
from jobs.periods import local_day, zone
from jobs.reports import (
    COLLECT,
    COMPOSE,
    RENDER,
    REPORT,
    DailyReports,
    DailyReportsResult,
    GenerateReport,
    ReportFile,
    ReportNotDelivered,
    ReportResult,
    ScheduledReportsFailed,
)
from workflows.base import JobWorkflow
from workflows.children import child_options

NOMINAL_TIME: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
SCHEDULE_ID: Final = SearchAttributeKey.for_keyword("TemporalScheduledById")

MAIL_LIFETIME: Final = timedelta(hours=20)
"""A relay may say "later" this long; below the deadline of the report's job."""


def due_time() -> datetime:
    """Return when this run was meant to begin: for a schedule its nominal time, never now."""
    nominal = workflow.info().typed_search_attributes.get(NOMINAL_TIME)
    return nominal or workflow.now()


@workflow.defn(name=REPORT.workflow)
class GenerateReportWorkflow(JobWorkflow):
    """Done when every format is stored and the relay has taken every mail."""

    @workflow.run
    async def run(self, job: GenerateReport) -> ReportResult:
        """Make ``job``."""
        steps = 1 + len(job.formats) + bool(job.deliver_to)
        collected = await self.step(
            ReportActivities.collect,
            Collect(job=job, as_of=due_time()),
            COLLECT,
            place=(1, steps),
            summary=f"collect the figures of {job.type}",
        )
        files = [
            await self.step(
                ReportActivities.render,
                Render(figures_key=collected.figures_key, name=collected.name, format=form),
                RENDER,
                place=(place, steps),
                summary=f"render and store {form}",
            )
            for place, form in enumerate(job.formats, start=2)
        ]
        if job.deliver_to:
            await self._deliver(job, collected, files, steps)
        return ReportResult(
            title=collected.title,
            start=collected.start,
            end=collected.end,
            time_zone=collected.time_zone,
            currency=collected.currency,
            kpis=collected.kpis,
            rows_read=collected.rows_read,
            data_as_of=collected.data_as_of,
            files=tuple(files),
            delivered=len(job.deliver_to),
        )

    async def _deliver(
        self, job: GenerateReport, collected: Collected, files: list[ReportFile], steps: int
    ) -> None:
        composed = await self.step(
            ReportActivities.compose,
            Compose(
                figures_key=collected.figures_key, files=tuple(files), deliver_as=job.deliver_as
            ),
            COMPOSE,
            place=(steps, steps),
            summary="compose the mail",
        )
        expires_at = workflow.now() + MAIL_LIFETIME
        mails = [mail(address, composed, expires_at) for address in job.deliver_to]
        outcomes = await asyncio.gather(
            *(self._send(number, email) for number, email in enumerate(mails, start=1))
        )
        refused = [job_id for job_id, delivered in outcomes if not delivered]
        if refused:
            msg = (
                f"{len(refused)} of {len(mails)} mails were not delivered, see the jobs "
                f"{', '.join(refused)}; the report itself is stored"
            )
            raise ReportNotDelivered(msg, [file.key for file in files])

    async def _send(self, number: int, email: Email) -> tuple[str, bool]:
        """Send one mail as a job of its own; one that an earlier run sent is not sent again."""
        options = child_options(EMAIL, email, f"{workflow.info().workflow_id}-{number}")
        try:
            receipt = await workflow.execute_child_workflow(
                EMAIL.workflow, email, result_type=EmailReceipt, **options
            )
        except WorkflowAlreadyStartedError:
            return options["id"], True
        except ChildWorkflowError:
            return options["id"], False
        return options["id"], receipt.delivery in (Delivery.SENT, Delivery.UNKNOWN)


def mail(address: str, composed: Composed, expires_at: datetime) -> Email:
    """Return the mail of a report to one address."""
    chart = composed.chart_key
    data: dict[str, JsonValue] = {
        "title": composed.title,
        "period": composed.period,
        "figures": {**composed.figures},
        "files": {**composed.links},
    }
    if chart:
        data |= {"chart": chart.rpartition("/")[2], "chart_text": composed.chart_text}
    return Email(
        to=address,
        template="report-ready",
        data=data,
        attachments=[*composed.attachments, *([chart] if chart else [])],
        expires_at=expires_at,
    )


@workflow.defn(name="DailyReports")
class DailyReportsWorkflow:
    """The reports due at a schedule's nominal time: one job per report and local day.

    A clock that is set back runs some schedules twice for one day; the second finds the jobs there.
    """

    @workflow.run
    async def run(self, due: DailyReports) -> DailyReportsResult:
        """Make each report; the failure of one stops no other."""
        nominal = due_time()
        day = local_day(nominal, zone(due.time_zone))
        info = workflow.info()
        schedule = info.typed_search_attributes.get(SCHEDULE_ID) or info.workflow_id
        outcomes = await asyncio.gather(
            *(
                self._make(self._fixed(job, nominal, due.time_zone), f"{schedule}-{job.type}-{day}")
                for job in due.reports
            )
        )
        failed = [job_id for job_id, outcome in outcomes if outcome == "failed"]
        if failed:
            msg = f"{len(failed)} of {len(outcomes)} reports failed: {', '.join(failed)}"
            raise ScheduledReportsFailed(msg)
        return DailyReportsResult(
            due=nominal,
            made=tuple(job_id for job_id, outcome in outcomes if outcome == "made"),
            already_made=tuple(job_id for job_id, outcome in outcomes if outcome == "already"),
        )

    def _fixed(self, job: GenerateReport, nominal: datetime, time_zone: str) -> GenerateReport:
        """Return ``job`` with the days that it means, so that a run made later means the same."""
        period = job.resolve(nominal, time_zone)
        return job.model_copy(
            update={
                "period": None,
                "start": period.start,
                "end": period.last,
                "time_zone": period.time_zone,
            }
        )

    async def _make(self, job: GenerateReport, key: str) -> tuple[str, str]:
        options = child_options(REPORT, job, key)
        try:
            await workflow.execute_child_workflow(GenerateReportWorkflow.run, job, **options)
        except WorkflowAlreadyStartedError:
            return options["id"], "already"
        except ChildWorkflowError:
            return options["id"], "failed"
        return options["id"], "made"

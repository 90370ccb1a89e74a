"""Report jobs, and the schedule's run that starts them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.reports import ReportActivities
from adapters.reports.renderer import ReportRenderer
from jobs.base import Queue
from jobs.emails import Delivery, Email, EmailReceipt
from jobs.errors import DatabaseUnavailable
from jobs.reports import (
    DailyReports,
    DailyReportsResult,
    GenerateReport,
    ReportFormat,
    ReportQueryFailed,
    ReportResult,
)
from tests.reporting import MemoryFiles, ScriptedSource
from workflows.reports import (
    NOMINAL_TIME,
    SCHEDULE_ID,
    DailyReportsWorkflow,
    GenerateReportWorkflow,
)
from workflows.sandbox import RUNNER

MARCH = {"start": date(2027, 3, 1), "end": date(2027, 3, 31), "time_zone": "Europe/Berlin"}


@workflow.defn(name="SendEmail", sandboxed=False)
class RelayWorkflow:
    """A mail job whose relay refuses addresses that begin with ``refused``."""

    @workflow.run
    async def run(self, job: Email) -> EmailReceipt:
        if (job.to or "").startswith("refused"):
            raise ApplicationError("no such mailbox", type="EmailRecipientRejected")
        return EmailReceipt(delivery=Delivery.SENT, message_id="<m@example.com>")


@dataclass
class Office:
    """Everything that report jobs need, in memory."""

    client: Client
    unique: str
    source: ScriptedSource = field(default_factory=ScriptedSource)
    files: MemoryFiles = field(default_factory=MemoryFiles)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        steps = ReportActivities(self.source, ReportRenderer("Test"), self.files, "UTC")
        async with (
            Worker(
                self.client,
                task_queue=Queue.REPORTS,
                workflows=[GenerateReportWorkflow, DailyReportsWorkflow],
                activities=steps.all(),
                workflow_runner=RUNNER,
            ),
            Worker(
                self.client,
                task_queue=Queue.EMAILS,
                workflows=[RelayWorkflow],
                workflow_runner=RUNNER,
            ),
        ):
            yield

    async def make(self, **job: object) -> ReportResult:
        return await self.client.execute_workflow(
            GenerateReportWorkflow.run,
            GenerateReport.model_validate({"type": "sales", **job}),
            id=f"report-{self.unique}",
            task_queue=Queue.REPORTS,
            execution_timeout=timedelta(hours=24),
        )

    async def mails(self) -> list[Email]:
        """The mails that were asked for, in order."""
        found = []
        for number in range(1, 10):
            handle = self.client.get_workflow_handle(f"email-report-{self.unique}-{number}")
            try:
                history = await handle.fetch_history()
            except Exception:  # noqa: BLE001  there is no further one
                break
            payloads = history.events[0].workflow_execution_started_event_attributes.input
            found += await self.client.data_converter.decode(payloads.payloads, [Email])
        return found


@pytest.fixture
async def office(temporal: Client, unique: str) -> AsyncIterator[Office]:
    office = Office(temporal, unique)
    async with office.open():
        yield office


async def test_a_report_is_stored_in_every_format_with_its_figures_in_the_result(
    office: Office,
) -> None:
    result = await office.make(**MARCH, formats=list(ReportFormat))
    assert [file.name for file in result.files] == [
        f"sales-2027-03-01-to-2027-03-31.{form}" for form in ReportFormat
    ]
    assert all(len(office.files.objects[file.key]) == file.bytes for file in result.files)
    assert result.kpis == {"revenue": "38269.50"}
    assert (result.start, result.end, result.rows_read) == (MARCH["start"], MARCH["end"], 31)


async def test_the_same_report_made_twice_has_the_same_files(
    office: Office, temporal: Client
) -> None:
    first = await office.make(**MARCH, formats=list(ReportFormat))
    office.unique += "-again"
    second = await office.make(**MARCH, formats=list(ReportFormat))
    assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]


async def test_a_database_that_was_away_is_asked_again(office: Office) -> None:
    office.source.failures = [DatabaseUnavailable("away"), DatabaseUnavailable("away")]
    result = await office.make(**MARCH)
    assert len(result.files) == 1
    assert len(office.source.collected) == 3


async def test_a_wrong_query_fails_the_job_at_the_first_attempt(office: Office) -> None:
    office.source.failures = [ReportQueryFailed("no column")] * 3
    with pytest.raises(WorkflowFailureError):
        await office.make(**MARCH)
    assert len(office.source.collected) == 1


async def test_each_recipient_gets_a_mail_with_figures_chart_and_file(office: Office) -> None:
    result = await office.make(
        **MARCH, deliver_to=["ada@example.com", "grace@example.com"], formats=["pdf"]
    )
    first, second = await office.mails()
    assert (result.delivered, first.to, second.to) == (2, "ada@example.com", "grace@example.com")
    assert first.data["period"] == "March 2027 (Europe/Berlin)"
    assert first.data["figures"] == {
        "Net revenue": "€38,269.50 (−12.5%)",
        "Average order": "n/a",
        "Compared with": "February 2027",
    }
    assert [key.rpartition("/")[2] for key in first.attachments] == [
        "sales-2027-03-01-to-2027-03-31.pdf",
        "chart.png",
    ]


async def test_links_take_the_place_of_attachments_where_the_store_gives_them(
    office: Office,
) -> None:
    name = "sales-2027-03-01-to-2027-03-31.pdf"
    office.files.links = {name: "https://files.example.com/x"}
    await office.make(
        **MARCH, deliver_to=["ada@example.com"], formats=["pdf", "csv"], deliver_as="link"
    )
    (mail,) = await office.mails()
    assert mail.data["files"] == {name: "https://files.example.com/x"}
    assert [key.rpartition(".")[2] for key in mail.attachments] == ["csv", "png"]


async def test_a_refused_recipient_fails_the_report_and_the_others_have_it(
    office: Office,
) -> None:
    with pytest.raises(WorkflowFailureError) as failure:
        await office.make(**MARCH, deliver_to=["refused@example.com", "ada@example.com"])
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "ReportNotDelivered"
    assert f"email-report-{office.unique}-1" in failure.value.cause.message
    assert "1 of 2" in failure.value.cause.message


async def test_a_report_that_failed_over_one_mail_sends_the_others_no_second_one(
    office: Office, temporal: Client
) -> None:
    mail, runs = temporal.get_workflow_handle(f"email-report-{office.unique}-2"), []
    for _ in range(2):
        with pytest.raises(WorkflowFailureError):
            await office.make(**MARCH, deliver_to=["refused@example.com", "ada@example.com"])
        runs.append((await mail.describe()).run_id)
    assert runs[0] == runs[1]


async def run_scheduled(
    office: Office, due: DailyReports, nominal: datetime, name: str = "a"
) -> DailyReportsResult:
    """Run ``due`` as the server does for a schedule."""
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(SCHEDULE_ID, office.unique),
            SearchAttributePair(NOMINAL_TIME, nominal),
        ]
    )
    return await office.client.execute_workflow(
        DailyReportsWorkflow.run,
        due,
        id=f"{office.unique}-{name}",
        task_queue=Queue.REPORTS,
        search_attributes=attributes,
    )


async def test_due_reports_are_for_the_nominal_day_and_made_once_for_it(office: Office) -> None:
    due = DailyReports.model_validate(
        {"reports": [{"type": "sales", "period": "yesterday"}], "time_zone": "America/New_York"}
    )
    # 01:30 comes twice in New York on 7 November 2027; the second is a second firing.
    first = await run_scheduled(office, due, datetime(2027, 11, 7, 5, 30, tzinfo=UTC), "a")
    second = await run_scheduled(office, due, datetime(2027, 11, 7, 6, 30, tzinfo=UTC), "b")
    assert first.made == second.already_made == (f"report-{office.unique}-sales-2027-11-07",)
    assert second.made == ()
    (period,) = office.source.collected
    assert (period.start, period.last) == (date(2027, 11, 6), date(2027, 11, 6))
    assert period.time_zone == "America/New_York"


async def test_one_failed_report_stops_no_other_and_fails_the_run(office: Office) -> None:
    office.source.failures = [ReportQueryFailed("no column")]
    due = DailyReports.model_validate(
        {
            "reports": [
                {"type": "sales", "period": "last_month"},
                {"type": "users", "period": "last_month"},
            ]
        }
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await run_scheduled(office, due, datetime(2027, 4, 1, 9, tzinfo=UTC))
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.message.startswith("1 of 2 reports failed: report-")
    assert len(office.source.collected) == 2

"""A reminder a year ahead: it starts delayed, and sends when it starts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from jobs.emails import Delivery
from jobs.reminders import Reminder
from tests.conftest import RUNNER
from tests.mails import mail_bench
from workflows.reminders import SendReminderWorkflow


async def test_a_reminder_a_year_ahead_is_sent_when_it_is_due(
    skipping_server: WorkflowEnvironment, temporal: Client, unique: str, tmp_path: Path
) -> None:
    due = datetime.now(UTC) + timedelta(days=365)
    reminder = Reminder(user_id="emmy", message="Idealtheorie", send_at=due)
    async with (
        mail_bench(tmp_path) as bench,
        Worker(
            temporal,
            task_queue=unique,
            workflows=[SendReminderWorkflow],
            activities=bench.steps.all(),
            workflow_runner=RUNNER,
        ),
    ):
        handle = await temporal.start_workflow(
            SendReminderWorkflow.run,
            reminder,
            id=unique,
            task_queue=unique,
            start_delay=timedelta(days=365),
        )
        receipt = await handle.result()
        [received] = bench.relay.received

    assert receipt.delivery is Delivery.SENT
    assert receipt.due_at == due
    assert await skipping_server.get_current_time(handle) >= due
    assert received.message["Subject"] == "Erinnerung: Idealtheorie"

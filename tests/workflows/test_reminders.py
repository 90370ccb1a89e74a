"""A reminder a year ahead: it starts delayed, and sends when it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from jobs.attributes import MEMO_MOVED
from jobs.emails import Delivery
from jobs.reminders import Reminder, ReminderReceipt
from tests.mails import MailBench, mail_bench
from workflows.reminders import SendReminderWorkflow
from workflows.sandbox import RUNNER


@asynccontextmanager
async def worker(client: Client, name: str, folder: Path) -> AsyncIterator[MailBench]:
    async with (
        mail_bench(folder) as bench,
        Worker(
            client,
            task_queue=name,
            workflows=[SendReminderWorkflow],
            activities=bench.steps.all(),
            workflow_runner=RUNNER,
        ),
    ):
        yield bench


async def start(
    client: Client, reminder: Reminder, name: str, delay: timedelta, **memo: datetime
) -> WorkflowHandle[SendReminderWorkflow, ReminderReceipt]:
    return await client.start_workflow(
        SendReminderWorkflow.run, reminder, id=name, task_queue=name, start_delay=delay, memo=memo
    )


async def test_a_reminder_a_year_ahead_is_sent_when_it_is_due(
    skipping_server: WorkflowEnvironment, temporal: Client, unique: str, tmp_path: Path
) -> None:
    due = datetime.now(UTC) + timedelta(days=365)
    reminder = Reminder(user_id="emmy", message="Idealtheorie", send_at=due)
    async with worker(temporal, unique, tmp_path) as bench:
        handle = await start(temporal, reminder, unique, timedelta(days=365))
        receipt = await handle.result()
        [received] = bench.relay.received

    assert receipt.delivery is Delivery.SENT
    assert receipt.due_at == due
    assert await skipping_server.get_current_time(handle) >= due
    assert received.message["Subject"] == "Erinnerung: Idealtheorie"


async def test_a_reminder_that_was_moved_says_the_time_it_was_moved_to(
    temporal: Client, unique: str, tmp_path: Path
) -> None:
    named, moved = (datetime.now(UTC) + timedelta(days=days) for days in (30, 60))
    reminder = Reminder(user_id="emmy", message="Idealtheorie", send_at=named)
    async with worker(temporal, unique, tmp_path):
        memo = {MEMO_MOVED: moved}
        handle = await start(temporal, reminder, unique, timedelta(days=60), **memo)
        assert (await handle.result()).due_at == moved

"""Send a reminder; its start was delayed until it is due."""

from datetime import datetime

from temporalio import workflow

from jobs.attributes import MEMO_MOVED
from jobs.reminders import REMINDER, Reminder, ReminderReceipt
from workflows.emails import MailWorkflow


@workflow.defn(name=REMINDER.workflow)
class SendReminderWorkflow(MailWorkflow):
    """Send the mail at once: waiting for the time was the server's part."""

    @workflow.run
    async def run(self, reminder: Reminder) -> ReminderReceipt:
        """Send ``reminder``."""
        job = reminder.email()
        expires_at = workflow.now() + job.mail_template.lifetime
        receipt = await self.deliver(job, expires_at)
        moved_to: datetime | None = workflow.memo_value(MEMO_MOVED, None, type_hint=datetime)
        return ReminderReceipt(**dict(receipt), due_at=moved_to or reminder.instant)

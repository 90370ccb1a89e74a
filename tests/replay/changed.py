"""The email workflow as a careless change would leave it; a module of its own for the sandbox."""

from temporalio import workflow

from jobs.emails import EMAIL, Email, EmailReceipt
from workflows.emails import MailWorkflow


@workflow.defn(name=EMAIL.workflow)
class CarelesslyChangedWorkflow(MailWorkflow):
    """Waits before it sends, which no recorded job did."""

    @workflow.run
    async def run(self, job: Email) -> EmailReceipt:
        """Wait, then send ``job``."""
        await workflow.sleep(1)
        return await self.deliver(job, workflow.now() + job.mail_template.lifetime)

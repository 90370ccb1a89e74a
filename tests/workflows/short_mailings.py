"""A mailing that continues as new after each chunk, as a long one does after many.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from temporalio import workflow
from typing_extensions import override

from jobs.mailings import MAILING, MailingJob, MailingResult
from workflows.mailings import SendMailingWorkflow


@workflow.defn(name=MAILING.workflow)
class ShortRunsWorkflow(SendMailingWorkflow):
    @workflow.run
    @override
    async def run(self, mailing: MailingJob) -> MailingResult:
        return await super().run(mailing)

    @override
    def _long_enough(self) -> bool:
        return True

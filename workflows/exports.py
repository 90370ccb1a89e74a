"""Export the rows of one query."""

from temporalio import workflow

from activities.exports import ExportActivities
from jobs.exports import EXPORT, TIDY, WRITE, ExportData, ExportResult
from workflows.base import JobWorkflow


@workflow.defn(name=EXPORT.workflow)
class ExportDataWorkflow(JobWorkflow):
    """Write the rows into one file; done when it is published."""

    @workflow.run
    async def run(self, job: ExportData) -> ExportResult:
        """Export ``job.query``."""
        steps = 2 if job.resume else 1
        result = await self.step(
            ExportActivities.write,
            job,
            WRITE,
            place=(1, steps),
            summary=f"write {job.query} as {job.format}",
        )
        if job.resume:
            await self.step(
                ExportActivities.tidy, job, TIDY, place=(2, steps), summary="delete the parts"
            )
        return result

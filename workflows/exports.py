"""Export the rows of one query."""

from temporalio import workflow

from activities.exports import ExportActivities
from jobs.exports import EXPORT, WRITE, ExportData, ExportResult
from workflows.base import JobWorkflow


@workflow.defn(name=EXPORT.workflow)
class ExportDataWorkflow(JobWorkflow):
    """Write the rows into one file; done when it is published."""

    @workflow.run
    async def run(self, job: ExportData) -> ExportResult:
        """Export ``job.query``."""
        return await self.step(
            ExportActivities.write,
            job,
            WRITE,
            place=(1, 1),
            summary=f"write {job.query} as {job.format}",
        )

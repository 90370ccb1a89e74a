"""A batch that continues as new after a few dozen events, as a long one does after thousands.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from temporalio import workflow
from typing_extensions import override

from jobs.batches import BATCH, BatchJob, BatchResult
from workflows.batches import RunBatchWorkflow

LONGEST_RUN = 40


@workflow.defn(name=BATCH.workflow)
class ShortRunsWorkflow(RunBatchWorkflow):
    @workflow.run
    @override
    async def run(self, batch: BatchJob) -> BatchResult:
        return await super().run(batch)

    @override
    def _pauses(self) -> bool:
        return self._stopping or workflow.info().get_current_history_length() > LONGEST_RUN

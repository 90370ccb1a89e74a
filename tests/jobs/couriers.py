"""A job that has its work done by other jobs, as a report has its mails sent.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

import asyncio

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

from tests.jobs.notes import STEP, FileNoteWorkflow, Note, NoteSteps
from workflows.base import JobWorkflow


@workflow.defn(name="Courier")
class CourierWorkflow(JobWorkflow):
    """Reads a note, and has it filed twice; fails if one of the two could not be."""

    @workflow.run
    async def run(self, note: Note) -> int:
        read = await self.step(NoteSteps.read, note, STEP, place=(1, 1), summary="read")
        notes = (read.model_copy(update={"behave": "well"}), read)
        filed = await asyncio.gather(*(self._file(n, note) for n, note in enumerate(notes)))
        if not all(filed):
            msg = "not every note was filed"
            raise ApplicationError(msg, type="NotFiled", non_retryable=True)
        return len(filed)

    async def _file(self, number: int, note: Note) -> bool:
        try:
            await workflow.execute_child_workflow(
                FileNoteWorkflow.run,
                note,
                id=f"{workflow.info().workflow_id}-{number}",
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return True
        except ChildWorkflowError:
            return False
        return True

"""A workflow of notes with a bug, as a deploy may bring it."""

from temporalio import workflow

from tests.jobs.notes import NOTE, Filed, Note
from workflows.base import JobWorkflow


@workflow.defn(name=NOTE.workflow)
class BrokenNoteWorkflow(JobWorkflow):
    @workflow.run
    async def run(self, note: Note) -> Filed:
        msg = "a bug in the code of the workflow"
        raise RuntimeError(msg)

"""A job that files a note when nobody else files one for the same cabinet.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from temporalio import workflow

from tests.jobs.notes import STEP, Filed, Note, NoteSteps
from workflows.base import JobWorkflow
from workflows.places import place


@workflow.defn(name="FileInPlace")
class FileInPlaceWorkflow(JobWorkflow):
    """Reads at any time, and files in the one place of the cabinet."""

    @workflow.run
    async def run(self, note: Note) -> Filed:
        read = await self.step(NoteSteps.read, note, STEP, place=(1, 2), summary="read")
        async with place("cabinet", note.text, limit=1):
            return await self.step(NoteSteps.file, read, STEP, place=(2, 2), summary="file")

"""Import one file."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError, is_cancelled_exception

from activities.imports import ImportActivities
from jobs.base import MEMO_NOTE
from jobs.errors import PoisonJob
from jobs.imports import (
    FINISH,
    IMPORT,
    INSPECT,
    LOAD,
    POSITION,
    ImportData,
    ImportPlan,
    ImportPosition,
    ImportResult,
)
from workflows.base import JobWorkflow
from workflows.places import place_of


@workflow.defn(name=IMPORT.workflow)
class ImportDataWorkflow(JobWorkflow):
    """Load the rows of one file into one table; done when the rejects file is stored."""

    @workflow.run
    async def run(self, job: ImportData) -> ImportResult:
        """Import ``job.source``; its rows when no other import loads into the target."""
        plan = await self._inspect(job)
        async with place_of(IMPORT, job):
            await self._load(plan)
        return await self._finish(plan)

    async def _inspect(self, job: ImportData) -> ImportPlan:
        return await self.step(
            ImportActivities.inspect, job, INSPECT, place=(1, 3), summary=f"inspect {job.source}"
        )

    async def _load(self, plan: ImportPlan) -> None:
        """Load the rows. A worker may be lost any number of times, as long as rows are added."""
        summary = f"load {plan.layout.rows:,} rows into {plan.job.target}"
        read = 0
        while True:
            try:
                await self.step(ImportActivities.load, plan, LOAD, place=(2, 3), summary=summary)
            except PoisonJob:
                position = await self._position(plan)
                if position.read <= read:
                    raise
                read = position.read
            except ActivityError as error:
                if not is_cancelled_exception(error):
                    raise
                position = await self._position(plan)
                msg = (
                    f"stopped after row {position.read:,} of {plan.layout.rows:,}; the same input "
                    "under the same id goes on there"
                )
                workflow.upsert_memo({MEMO_NOTE: msg})
                raise CancelledError(msg) from error
            else:
                return

    async def _position(self, plan: ImportPlan) -> ImportPosition:
        return await self.step(
            ImportActivities.position, plan, POSITION, place=(2, 3), summary="see how far it is"
        )

    async def _finish(self, plan: ImportPlan) -> ImportResult:
        return await self.step(
            ImportActivities.finish, plan, FINISH, place=(3, 3), summary="write the rejects file"
        )

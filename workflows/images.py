"""Process one image: a step per operation, one encode at the end, then the variants."""

import asyncio
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityConfig

from activities.images import ImageActivities
from jobs.attributes import JOB_OWNER
from jobs.images import APPLY, CATALOG, IMAGE, UNDO, ImageFile, ImageJob, ImageResult
from jobs.images.planning import SOURCE, PlannedStep, plan, sum_up
from jobs.images.steps import Abandonment, ImageClaim, ImageOutcome, ImageStep, Picture, StepOutcome
from workflows.base import JobWorkflow

MAX_BEGINNINGS: Final = 3
"""Times that a job begins with its source, should pictures between its steps get lost."""


@workflow.defn(name=IMAGE.workflow)
class ProcessImageWorkflow(JobWorkflow):
    """Process one image; done when all its files are stored."""

    def __init__(self) -> None:
        self._files: list[ImageFile] = []

    @workflow.run
    async def run(self, job: ImageJob) -> ImageResult:
        """Process ``job``; if it fails or is cancelled, nothing of it stays behind."""
        try:
            for _ in range(MAX_BEGINNINGS - 1):
                try:
                    return await self._process(job)
                except ActivityError as error:
                    if failure_type(error) != "IntermediateLost":
                        raise
            return await self._process(job)
        except (ActivityError, ApplicationError, CancelledError, asyncio.CancelledError) as error:
            await self._abandon(job, failure_type(error))
            raise

    async def _process(self, job: ImageJob) -> ImageResult:
        steps = plan(job)
        total = len(steps) + (0 if job.image_id is None else 2)
        source = await self._source(job, total)
        first = total - len(steps) + (1 if job.image_id is None else 0)
        pictures: dict[str, Picture] = {}
        outcomes: list[StepOutcome] = []
        self._files = []
        for number, planned in enumerate(steps):
            step = ImageStep(
                name=planned.name,
                source=source if planned.reads == SOURCE else None,
                picture=pictures.get(planned.reads),
                branches=planned.branches,
                on_animated=job.on_animated,
                metadata=job.metadata,
                last=number == len(steps) - 1 > 0,
            )
            place = (first + number, total)
            outcome = await self.step(
                ImageActivities.apply, step, APPLY, place=place, summary=planned.name
            )
            outcomes.append(outcome)
            self._take(planned, outcome, pictures)
        if job.image_id is not None:
            await self._complete(job.image_id, total)
        return sum_up(steps, outcomes, self._files)

    async def _source(self, job: ImageJob, total: int) -> str:
        if job.image_id is None:
            return job.source or ""  # the contract has one of the two
        owner = workflow.info().typed_search_attributes.get(JOB_OWNER)
        found = await self.step(
            ImageActivities.claim,
            ImageClaim(image_id=job.image_id, owner=owner),
            CATALOG,
            place=(1, total),
            summary="find in the catalogue",
        )
        return found.source

    def _take(
        self, planned: PlannedStep, outcome: StepOutcome, pictures: dict[str, Picture]
    ) -> None:
        for name, branch in zip(planned.keeps, outcome.outcomes, strict=True):
            if branch.picture is not None:
                pictures[name] = branch.picture
            if branch.file is not None:
                self._files.append(branch.file)

    async def _complete(self, image_id: str, total: int) -> None:
        await self.step(
            ImageActivities.complete,
            ImageOutcome(image_id=image_id, files=self._files),
            CATALOG,
            place=(total, total),
            summary="record in the catalogue",
        )

    async def _abandon(self, job: ImageJob, error: str) -> None:
        """Undo at once, also while the job is held."""
        abandonment = Abandonment(image_id=job.image_id, error=error, files=self._files)
        config: ActivityConfig = {**UNDO, "summary": "delete what is half done"}
        try:
            await workflow.execute_activity_method(ImageActivities.abandon, abandonment, **config)
        except ActivityError:
            # the job fails with its own error; the sweep deletes what is left
            workflow.logger.warning("the leftovers of a failed image job could not be deleted")


def failure_type(error: BaseException) -> str:
    """Return what the catalogue calls a failure."""
    match error:
        case ActivityError(cause=ApplicationError(type=str(name))):
            return name
        case ApplicationError(type=str(name)):
            return name
        case ActivityError(cause=CancelledError()) | CancelledError() | asyncio.CancelledError():
            return "Cancelled"
        case _:
            return "TimedOut"

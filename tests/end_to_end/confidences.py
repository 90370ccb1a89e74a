"""A job that has a secret at every place where a job can have one.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from activities.progress import report
from jobs.base import NEVER_RETRIED, Contract, JobKind, Queue
from jobs.errors import PermanentError, TransientError
from workflows.base import JobWorkflow


class Confidence(Contract):
    """The secret is named after its places: ``<word>-input``."""

    word: str
    text: str
    ends: str = "completed"
    """``completed``, ``failed``, or ``retrying`` for a day."""


class Kept(Contract):
    text: str


class ConfidenceBroken(PermanentError):
    """Fails for good."""


class ConfidenceDelayed(TransientError):
    """Fails for now."""


STEP: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(days=1),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)


class ConfidenceSteps:
    @activity.defn(name="confidences.keep")
    async def keep(self, job: Confidence) -> Kept:
        report(1, 2, message=f"{job.word}-heartbeat")
        match job.ends:
            case "failed":
                raise ConfidenceBroken(f"{job.word}-failure")
            case "retrying":
                raise ConfidenceDelayed(f"{job.word}-delay", f"{job.word}-details")
            case _:
                return Kept(text=f"{job.word}-result")

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.keep,)


CONFIDENCE: Final = JobKind(
    name="confidence",
    workflow="KeepConfidence",
    input=Confidence,
    result=Kept,
    queue=Queue.EMAILS,
    deadline=timedelta(days=2),
    steps={"confidences.keep": STEP},
    summarize=lambda job: f"keep {job.word}-summary",
    example={"word": "x", "text": "x"},
)


@workflow.defn(name=CONFIDENCE.workflow)
class KeepConfidenceWorkflow(JobWorkflow):
    @workflow.run
    async def run(self, job: Confidence) -> Kept:
        return await self.step(ConfidenceSteps.keep, job, STEP, place=(1, 1), summary="keep it")

"""Image jobs: one picture, an ordered list of operations, one or more files.

Queue ``images``. A step per operation; between steps the picture is kept without loss, and it is
encoded once, last. Two attempts a step, 60 s each; the process that decodes is killed before that.
What is wrong with the picture, or asked of it, fails the job at the first attempt.
"""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from jobs.base import NEVER_RETRIED, JobKind, Queue, Retention
from jobs.images.contract import (
    MAIN,
    ImageFile,
    ImageJob,
    ImageResult,
    SourceFacts,
    StepTime,
    Variant,
)
from jobs.images.operations import (
    AutoOrient,
    Blur,
    Compress,
    Convert,
    Crop,
    Flip,
    Grayscale,
    Operation,
    Output,
    Resize,
    Rotate,
    Watermark,
)

__all__ = [
    "APPLY",
    "CATALOG",
    "IMAGE",
    "MAIN",
    "UNDO",
    "AutoOrient",
    "Blur",
    "Compress",
    "Convert",
    "Crop",
    "Flip",
    "Grayscale",
    "ImageFile",
    "ImageJob",
    "ImageResult",
    "Operation",
    "Output",
    "Resize",
    "Rotate",
    "SourceFacts",
    "StepTime",
    "Variant",
    "Watermark",
]

APPLY: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=10),
    # the step's pictures are deleted after a cancel, so the step must have ended by then
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=2,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

CATALOG: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=10,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

UNDO: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=5,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)


def summarize(job: ImageJob) -> str:
    """Return the operations in order, and how many variants: ``resize, watermark, +2 variants``."""
    parts: list[str] = [operation.type for operation in job.operations]
    if job.variants:
        parts.append(f"+{len(job.variants)} variants")
    return ", ".join(parts)


IMAGE: Final = JobKind(
    name="image",
    workflow="ProcessImage",
    input=ImageJob,
    result=ImageResult,
    queue=Queue.IMAGES,
    deadline=timedelta(hours=12),
    retention=Retention(),
    steps={
        "images.claim": CATALOG,
        "images.apply": APPLY,
        "images.complete": CATALOG,
        "images.abandon": UNDO,
    },
    summarize=summarize,
    example={
        "source": "examples/photo.jpg",
        "operations": [
            {"type": "resize", "width": 800},
            {"type": "compress", "quality": 80},
            {"type": "watermark", "text": "© Ada"},
        ],
    },
)

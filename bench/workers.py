"""A worker of ours in a bench, with other work than ``worker.py`` would give it."""

from collections.abc import Callable, Sequence

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import worker as ours
from activities.interceptor import StepInterceptor
from activities.measuring import StepMetrics
from jobs.base import Queue
from workflows.interceptor import FinalFailureInterceptor
from workflows.measuring import JobMetrics


def our_worker(
    client: Client,
    queue: Queue,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., object]],
) -> Worker:
    """Return a worker of a queue with the options and interceptors of ``worker.py``."""
    metrics = (StepMetrics(Runtime.default().metric_meter), JobMetrics())
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=UnsandboxedWorkflowRunner(),  # see docs/decisions/sandbox.md
        interceptors=(*metrics, StepInterceptor(), FinalFailureInterceptor()),
        max_concurrent_activities=ours.DEFAULT_SLOTS[queue],
        disable_eager_activity_execution=True,
        max_heartbeat_throttle_interval=ours.HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=ours.HEARTBEAT_INTERVAL,
        sticky_queue_schedule_to_start_timeout=ours.STICKY_TIMEOUT,
    )

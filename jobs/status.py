"""What can be said of a job at any moment, also while no worker lives.

All of it comes from one ``DescribeWorkflowExecution`` (and, for a closed job, the end of its
history): never from a query, which needs a live worker.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import Field
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from jobs.attributes import JOB_STATE
from jobs.base import Contract

HELD: Final = "held"
"""Value of the search attribute ``JobState`` of a job that waits for ``release``."""

STATUS_PAUSED: Final = 8
"""``WORKFLOW_EXECUTION_STATUS_PAUSED``, which the SDK's own enum does not know (1.35.0)."""


class JobState(StrEnum):
    """Where a job is."""

    SCHEDULED = "scheduled"
    """Its start is delayed."""
    WAITING = "waiting"
    """No worker has begun it, or its first step."""
    RUNNING = "running"
    RETRYING = "retrying"
    """A step failed and will be tried again."""
    HELD = "held"
    """Begins no further step until it is released."""
    PAUSED = "paused"
    """Paused in Temporal, as a whole or in its step."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in FINAL


FINAL: Final = frozenset(
    {
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.TERMINATED,
        JobState.TIMED_OUT,
    }
)

CLOSED: Final = {
    2: JobState.COMPLETED,
    3: JobState.FAILED,
    4: JobState.CANCELLED,
    5: JobState.TERMINATED,
    6: JobState.RUNNING,  # continued as new: the job goes on in another run
    7: JobState.TIMED_OUT,
}
"""States by ``WorkflowExecutionStatus``, for executions that are closed."""


class Progress(Contract):
    """How far a step is; what activities heartbeat."""

    step: str = ""
    """Name of the step, ``resize``."""
    done: int = 0
    total: int | None = None
    unit: str = ""
    """What is counted, ``bytes``, ``rows``; empty for bare steps."""
    message: str = ""


MEMO_TALLY: Final = "tally"
"""Memo field in which a job of many steps side by side says how far it is as a whole."""


class Tally(Contract):
    """How far such a job is; what its running steps report comes on top."""

    done: int = 0
    total: int
    unit: str = "items"
    message: str = ""
    began_done: int = 0
    """Done before ``began_at``; they say nothing of the rate."""
    began_at: datetime
    at: datetime


class JobProgress(Progress):
    """How far a job is."""

    percent: float | None = None
    """Of the whole job, 0 to 100; unknown (null) while a closed job did not complete."""
    rate: float | None = None
    """Units a second since the step's attempt began."""
    eta_seconds: float | None = None
    """Until the step's end, at that rate."""


class JobFailure(Contract):
    """Why a job failed, or why its last attempt did."""

    type: str
    message: str
    retryable: bool
    """Whether another attempt follows."""
    attempt: int | None = None
    at: datetime | None = None


class JobLinks(Contract):
    """Where to read more."""

    self: str | None = None
    logs: str | None = None
    events: str | None = None
    result: str | None = None
    temporal_ui: str | None = None


class JobStatus(Contract):
    """The job object: what ``submit`` and ``status`` answer, on the command line and over HTTP."""

    id: str
    kind: str
    state: JobState
    progress: JobProgress = Field(default_factory=JobProgress)
    input: dict[str, Any] | None = None
    """Personal data in it are shown as ``***``; null where it was not asked for."""
    result: dict[str, Any] | None = None
    error: JobFailure | None = None
    attempts: int = 0
    """Attempts of the current step; of a closed job, of its last one."""
    max_attempts: int | None = None
    owner: str | None = None
    priority: int = 3
    tags: dict[str, str] = Field(default_factory=dict)
    created: bool | None = None
    """In the answer to a submission: whether it made a new job. Null elsewhere."""
    held_because: str | None = None
    created_at: datetime
    scheduled_at: datetime | None = None
    """When a delayed job is due."""
    started_at: datetime | None = None
    """When the first step's first attempt, or the current one, was taken by a worker."""
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    run_id: str
    links: JobLinks = Field(default_factory=JobLinks)


def current_activity(description: DescribeWorkflowExecutionResponse) -> PendingActivityInfo | None:
    """Return the pending activity that tells most: the one that is furthest along."""
    return max(
        description.pending_activities,
        key=lambda pending: pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        default=None,
    )


def derive_state(description: DescribeWorkflowExecutionResponse) -> JobState:
    """Return the state of a job from the server's description of it."""
    status = description.workflow_execution_info.status
    if status in CLOSED:
        return CLOSED[status]
    if status == STATUS_PAUSED:
        return JobState.PAUSED
    if is_held(description):
        return JobState.HELD
    pending = current_activity(description)
    return _state_between_steps(description) if pending is None else _state_of_step(pending)


def _state_between_steps(description: DescribeWorkflowExecutionResponse) -> JobState:
    info, task = description.workflow_execution_info, description.pending_workflow_task
    if info.HasField("most_recent_worker_version_stamp") or task.attempt > 1:
        return JobState.RUNNING  # a worker has taken it before
    delayed = info.execution_time.ToNanoseconds() > info.start_time.ToNanoseconds()
    if delayed and not description.HasField("pending_workflow_task"):
        return JobState.SCHEDULED
    begun = task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
    return JobState.RUNNING if begun else JobState.WAITING


def _state_of_step(pending: PendingActivityInfo) -> JobState:
    states = PendingActivityState
    if pending.paused or pending.state == states.PENDING_ACTIVITY_STATE_PAUSED:
        return JobState.PAUSED
    if pending.state != states.PENDING_ACTIVITY_STATE_SCHEDULED:
        return JobState.RUNNING
    if pending.attempt > 1:
        return JobState.RETRYING
    return JobState.WAITING if pending.activity_id.startswith("1of") else JobState.RUNNING


def is_held(description: DescribeWorkflowExecutionResponse) -> bool:
    """Tell whether the job said of itself that it waits for ``release``."""
    fields = description.workflow_execution_info.search_attributes.indexed_fields
    return JOB_STATE.name in fields and HELD.encode() in fields[JOB_STATE.name].data

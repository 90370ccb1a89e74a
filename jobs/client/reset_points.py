"""Where a job that has ended goes on when it is retried: told by the end of its history.

Temporal resets a workflow to one of its workflow tasks. The right one is that which scheduled the
failed step: what came before stays, and the step is scheduled again. The server's own choice, the
last task, is the one that saw the failure and would only see it again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.reading import CLOSING, instant
from jobs.places import ASK, GIVE_BACK
from jobs.status import JobState

UNDOING: Final = frozenset({"images.abandon"})
"""Steps that undo the others when the job ends badly: nothing of such a job can be kept."""

PAGE_EVENTS: Final = 200

COMPLETED: Final = frozenset({"activity_task_completed", "child_workflow_execution_completed"})
BADLY: Final = frozenset(
    {
        "activity_task_failed",
        "activity_task_timed_out",
        "activity_task_canceled",
        "child_workflow_execution_failed",
        "child_workflow_execution_timed_out",
        "child_workflow_execution_canceled",
        "child_workflow_execution_terminated",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPoint:
    """Where one run of a job goes on."""

    state: JobState
    """How the run ended."""
    ended_at: datetime
    finish_event_id: int | None
    """Of the workflow task to reset to; None where no worker had taken the job: it starts anew."""
    step: str | None
    """The step that is run again, ``2of3 reports.render``; None where that can't be told."""
    why: str
    """In words, to follow "goes on"."""


async def find(client: Client, job_id: str, run_id: str = "") -> ResetPoint | None:
    """Return where a job goes on, None if it has not ended: one call for most jobs.

    Raises:
        JobNotFoundError: There is no such job.
    """
    search: _Search | None = None
    async for event in _newest_first(client, job_id, run_id):
        if search is None:
            state = CLOSING.get(event.event_type)
            if state is None:
                return None
            search = _Search(state, instant(event.event_time), _failed_by(event))
        if (point := search.see(event)) is not None:
            return point
    return search.at_start() if search else None


async def _newest_first(client: Client, job_id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
        maximum_page_size=PAGE_EVENTS,
    )
    while True:
        with translated_errors(job_id):
            page = await client.workflow_service.get_workflow_execution_history_reverse(
                request, timeout=RPC_TIMEOUT
            )
        for event in page.history.events:
            yield event
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


def _failed_by(event: HistoryEvent) -> int:
    """Return the event that scheduled what made a workflow fail; 0 if it failed by itself."""
    failure: Failure = event.workflow_execution_failed_event_attributes.failure
    while True:
        if failure.HasField("activity_failure_info"):
            return failure.activity_failure_info.scheduled_event_id
        if failure.HasField("child_workflow_execution_failure_info"):
            return failure.child_workflow_execution_failure_info.initiated_event_id
        if not failure.HasField("cause"):
            return 0
        failure = failure.cause


@dataclass(slots=True)
class _Search:
    """Goes through a history, newest event first, until it is clear where the job goes on."""

    state: JobState
    ended_at: datetime
    failed_by: int
    _ended: dict[int, bool] = field(default_factory=dict)
    """Steps and children that have ended, by the event that began them: whether well."""
    _last_task: int | None = None
    _first: tuple[int, str] | None = None
    """The task that scheduled the step seen last, and that step: in the end, the first one."""
    _undone: bool = False
    _place: tuple[str, int] | None = None
    """What the job last said to who hands out places, and the task in which it did."""
    _found: ResetPoint | None = None
    """The point, while it is looked whether a place had been taken for it."""

    def see(self, event: HistoryEvent) -> ResetPoint | None:
        """Take in the next event; return the point once it is clear."""
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
        if name == "signal_external_workflow_execution_initiated":
            return self._see_signal(event)
        if self._found is not None:
            return None
        self._found = self._see(name, event)
        gives_back = self.state in {JobState.FAILED, JobState.CANCELLED}
        return self._found if self._place is None and gives_back else None

    def _see(self, name: str, event: HistoryEvent) -> ResetPoint | None:
        if name in COMPLETED or name in BADLY:
            attributes = getattr(event, f"{name}_event_attributes")
            key = "scheduled_event_id" if name.startswith("activity") else "initiated_event_id"
            self._ended[getattr(attributes, key)] = name in COMPLETED
        elif name == "workflow_task_completed":
            self._last_task = self._last_task or event.event_id
        elif name == "activity_task_scheduled":
            return self._see_step(event)
        elif name == "start_child_workflow_execution_initiated":
            return self._see_child(event)
        return None

    def _see_signal(self, event: HistoryEvent) -> ResetPoint | None:
        """Take in a word to who hands out places: what was done with one needs one again."""
        said = event.signal_external_workflow_execution_initiated_event_attributes
        if said.signal_name not in {ASK, GIVE_BACK}:
            return None
        task = said.workflow_task_completed_event_id
        self._place = self._place or (said.signal_name, task)
        if self._found is None or said.signal_name == GIVE_BACK:
            return self._found
        why = f"{self._found.why}, when it has its place again"
        return self._point(task, self._found.step, why)

    def _see_step(self, event: HistoryEvent) -> ResetPoint | None:
        scheduled = event.activity_task_scheduled_event_attributes
        if not _has_place(scheduled.activity_id):
            self._undone |= scheduled.activity_type.name in UNDOING
            return None
        step = f"{scheduled.activity_id} {scheduled.activity_type.name}"
        task = scheduled.workflow_task_completed_event_id
        self._first = task, step
        if self._undone:
            return None
        well = self._ended.get(event.event_id)
        if self.state is JobState.FAILED:
            if event.event_id == self.failed_by:
                return self._point(task, step, f"from the failed step, {step}")
            if not self.failed_by:
                return self._point(task, step, f"from its last step, {step}: none had failed")
            return None
        return None if well else self._point(task, step, f"from the step it was at, {step}")

    def _see_child(self, event: HistoryEvent) -> ResetPoint | None:
        child = event.start_child_workflow_execution_initiated_event_attributes
        badly = self._ended.get(event.event_id) is False
        ours = event.event_id == self.failed_by or (not self.failed_by and badly)
        if self._undone or self.state is not JobState.FAILED or not ours:
            return None
        step = child.workflow_type.name
        why = f"from the failed job that it had started, {child.workflow_id}"
        return self._point(child.workflow_task_completed_event_id, step, why)

    def at_start(self) -> ResetPoint:
        """Return the point after the whole history has been seen."""
        if self._found is not None:
            return self._found
        if self._undone and self._first is not None:
            task, step = self._first
            return self._point(task, step, "from its first step: it had undone what it had done")
        if self._last_task is None:
            return self._point(None, None, "from the beginning: no worker had taken it")
        if self._first is None:
            return self._point(self._last_task, None, "from the beginning: no step had begun")
        said, task = self._place or ("", self._last_task)
        return self._point(
            task if said == ASK else self._last_task, None, "after its last finished step"
        )

    def _point(self, task: int | None, step: str | None, why: str) -> ResetPoint:
        return ResetPoint(
            state=self.state, ended_at=self.ended_at, finish_event_id=task, step=step, why=why
        )


def _has_place(activity_id: str) -> bool:
    """Tell whether an activity is a step of the job, ``2of4``, or something around them."""
    place, of, count = activity_id.partition("of")
    return bool(of) and place.isdigit() and count.isdigit()

"""What a job's history tells of repetitions: steps redone, attempts eaten, workers lost."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

WAITS: Final = {"NotYetDue", "EndpointWaiting"}
"""By which a step waits: nothing has gone out."""


@dataclass(frozen=True, slots=True)
class Repetitions:
    """How often steps of one job were run more than once."""

    redone: int = 0
    """Runs of a step that counted no attempt: its worker was lost or shut down."""
    eaten: int = 0
    """Attempts beyond each step's first."""
    failed: int = 0
    """Attempts that followed a failure of the step's own doing or of what it needs, not a wait."""
    lost_workers: int = 0
    """Runs of a step that ended with the loss of its worker."""


async def repetitions(client: Client, job_id: str) -> Repetitions:
    """Read a job's history and count."""
    handle = client.get_workflow_handle(job_id)
    return count([event async for event in handle.fetch_history_events()])


def count(events: Iterable[HistoryEvent]) -> Repetitions:
    """Count repetitions in the events of one run."""
    runs: Counter[str] = Counter()
    eaten = failed = lost = 0
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                runs[event.activity_task_scheduled_event_attributes.activity_id] += 1
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                eaten += started.attempt - 1
                why = started.last_failure.application_failure_info.type
                failed += started.attempt > 1 and why not in WAITS
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                lost += 1
    return Repetitions(sum(runs.values()) - len(runs), eaten, failed, lost)

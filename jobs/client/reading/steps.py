"""How far an open job is, from the step that it is at or the last that it did."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from jobs.client.reading.values import failure, instant
from jobs.encryption import EncryptionKeyMissing
from jobs.status import JobProgress, Progress

FAILED_STEP: Final = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
}
WAITING_UNLIMITED: Final = 0


async def at_step(client: Client, pending: PendingActivityInfo) -> dict[str, Any]:
    """Tell of the step that a job is at."""
    reported = Progress(step=pending.activity_type.name.partition(".")[2])
    if pending.heartbeat_details.payloads:
        with suppress(EncryptionKeyMissing):  # that it runs is worth telling
            decoded = await client.data_converter.decode(
                list(pending.heartbeat_details.payloads[:1]), [Progress]
            )
            reported = decoded[0]
    policy_attempts = pending.maximum_attempts
    updates: dict[str, Any] = {
        "progress": _progress(pending, reported),
        "attempts": pending.attempt,
        "max_attempts": None if policy_attempts == WAITING_UNLIMITED else policy_attempts,
    }
    if pending.HasField("last_started_time"):
        updates["started_at"] = instant(pending.last_started_time)
    if pending.attempt > 1 and pending.HasField("next_attempt_schedule_time"):
        updates["next_attempt_at"] = instant(pending.next_attempt_schedule_time)
    if pending.HasField("last_failure"):
        updates["error"] = failure(
            pending.last_failure,
            retryable=True,
            attempt=pending.attempt - 1,
            at=instant(pending.last_attempt_complete_time)
            if pending.HasField("last_attempt_complete_time")
            else None,
        )
    return updates


def _progress(pending: PendingActivityInfo, reported: Progress) -> JobProgress:
    place, of = _place(pending.activity_id)
    share = min(1.0, reported.done / reported.total) if reported.total else 0.0
    rate = eta = None
    if reported.done and pending.HasField("last_heartbeat_time"):
        elapsed_ns = (
            pending.last_heartbeat_time.ToNanoseconds() - pending.last_started_time.ToNanoseconds()
        )
        rate = reported.done / (elapsed_ns / 1e9) if elapsed_ns > 0 else None
    if rate and reported.total:
        eta = max(0.0, (reported.total - reported.done) / rate)
    return JobProgress(
        **reported.model_dump(),
        percent=round((place - 1 + share) / of * 100, 1) if of else None,
        rate=round(rate, 2) if rate else None,
        eta_seconds=round(eta, 1) if eta is not None else None,
    )


def _place(activity_id: str) -> tuple[int, int]:
    """Return which step of how many an activity is, from its id ``2of4``; (0, 0) for others."""
    place, of, count = activity_id.partition("of")
    return (int(place), int(count)) if of and place.isdigit() and count.isdigit() else (0, 0)


def percent_so_far(events: Sequence[HistoryEvent]) -> float:
    """Return how far a job is that is at no step: it has just ended one, or waits."""
    failed = 0
    for event in events:
        if event.event_type in FAILED_STEP:
            failed = 1
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            place, of = _place(event.activity_task_scheduled_event_attributes.activity_id)
            return round((place - failed) / of * 100, 1) if of else 0.0
    return 0.0

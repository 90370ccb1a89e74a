"""The log of a job: its history, told in words. Nothing is written twice."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Final

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from jobs.base import MEMO_NOTE, Contract
from jobs.client.connection import translated_errors
from jobs.client.failures import open_event
from jobs.client.reading import decode, describe, failure, instant, words
from jobs.encryption import EncryptionKeyMissing
from jobs.holds import MEMO_HOLD
from jobs.status import current_activity

RESET: Final = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


class Level(StrEnum):
    """How much a line matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogLine(Contract):
    """One thing that happened to a job."""

    at: datetime
    level: Level = Level.INFO
    step: str | None = None
    """Place and name, ``2of4 images.resize``."""
    attempt: int | None = None
    text: str


async def logs(client: Client, job_id: str, *, follow: bool = False) -> AsyncIterator[LogLine]:
    """Yield what happened to a job, oldest first; with ``follow``, go on until it ends."""
    teller = Teller(client)
    handle = client.get_workflow_handle(job_id)
    with translated_errors(job_id):
        async for event in handle.fetch_history_events(wait_new_event=follow):
            for line in await teller.tell(event):
                yield line
    if not follow and (due := await _next_attempt(client, job_id)) is not None:
        yield due


async def _next_attempt(client: Client, job_id: str) -> LogLine | None:
    """Return why the current step waits for another attempt; the history tells it only later."""
    pending = current_activity(await describe(client, job_id))
    if pending is None or pending.attempt <= 1 or not pending.HasField("last_failure"):
        return None
    why = failure(pending.last_failure, retryable=True, attempt=None, at=None)
    again = ""
    if pending.HasField("next_attempt_schedule_time"):
        again = (
            f"; tried again at {instant(pending.next_attempt_schedule_time):%Y-%m-%d %H:%M:%S} UTC"
        )
    return LogLine(
        at=instant(pending.last_attempt_complete_time),
        level=Level.WARNING,
        step=f"{pending.activity_id} {pending.activity_type.name}",
        attempt=pending.attempt - 1,
        text=f"failed: {why.type}: {why.message}{again}",
    )


class Teller:
    """Turns events into lines; remembers what a step's later events refer to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._steps: dict[int, str] = {}
        self._summaries: dict[int, str] = {}
        self._begun: dict[int, tuple[datetime, int]] = {}

    async def tell(self, event: HistoryEvent) -> list[LogLine]:
        """Return the lines that ``event`` is worth; most are worth none."""
        await open_event(self._client, event)
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
        if name == "activity_task_scheduled" and event.user_metadata.summary.data:
            summary = await words(self._client, [event.user_metadata.summary])
            self._summaries[event.event_id] = summary
        if name.startswith("activity_task_"):
            return self._tell_step(name, event)
        tell = self._tell_note if name == "workflow_properties_modified" else self._tell_job
        line = await tell(name, event)
        return [line] if line else []

    async def _tell_note(self, _: str, event: HistoryEvent) -> LogLine | None:
        fields = event.workflow_properties_modified_event_attributes.upserted_memo.fields
        at = instant(event.event_time)
        if MEMO_NOTE in fields:
            note = await words(self._client, [fields[MEMO_NOTE]])
            return LogLine(at=at, level=Level.WARNING, text=note)
        if MEMO_HOLD not in fields:
            return None
        with suppress(EncryptionKeyMissing):
            held = await decode(self._client, [fields[MEMO_HOLD]])
            if held and held["error"]:  # a person's hold is told by its signal
                return LogLine(at=at, level=Level.WARNING, text=f"held: {held['reason']}")
        return None

    async def _tell_job(self, name: str, event: HistoryEvent) -> LogLine | None:
        at = instant(event.event_time)
        match name:
            case "workflow_execution_started":
                delay = (
                    event.workflow_execution_started_event_attributes.first_workflow_task_backoff
                )
                due = at + delay.ToTimedelta()
                wait = f", begins at {due:%Y-%m-%d %H:%M:%S} UTC" if delay.ToSeconds() > 0 else ""
                return LogLine(at=at, text=f"submitted{wait}")
            case "workflow_execution_completed":
                return LogLine(at=at, text="completed")
            case "workflow_execution_failed":
                cause = event.workflow_execution_failed_event_attributes.failure
                why = failure(cause, retryable=False, attempt=None, at=at)
                return LogLine(at=at, level=Level.ERROR, text=f"failed: {why.type}: {why.message}")
            case "workflow_execution_timed_out":
                return LogLine(at=at, level=Level.ERROR, text="timed out: its deadline passed")
            case "workflow_execution_cancel_requested":
                return LogLine(at=at, level=Level.WARNING, text="cancel requested")
            case "workflow_execution_canceled":
                return LogLine(at=at, level=Level.WARNING, text="cancelled")
            case "workflow_execution_terminated":
                reason = event.workflow_execution_terminated_event_attributes.reason
                return LogLine(
                    at=at, level=Level.ERROR, text=f"terminated: {reason or 'no reason'}"
                )
            case "workflow_execution_continued_as_new":
                return LogLine(at=at, text="goes on in a new run")
            case "workflow_execution_signaled":
                signal = event.workflow_execution_signaled_event_attributes
                reason = await words(self._client, signal.input.payloads)
                told = f"{signal.signal_name}: {reason}" if reason else signal.signal_name
                return LogLine(at=at, level=Level.WARNING, text=told)
            case "workflow_task_failed":
                failed = event.workflow_task_failed_event_attributes
                problem = failed.failure.message
                if failed.cause == RESET:  # how Temporal marks that a run goes on from another
                    return LogLine(at=at, level=Level.WARNING, text=problem)
                text = f"workflow task failed, it is tried again: {problem}"
                return LogLine(at=at, level=Level.ERROR, text=text)
            case _:
                return None

    def _tell_step(self, name: str, event: HistoryEvent) -> list[LogLine]:
        at = instant(event.event_time)
        match name:
            case "activity_task_scheduled":
                scheduled = event.activity_task_scheduled_event_attributes
                step = f"{scheduled.activity_id} {scheduled.activity_type.name}"
                self._steps[event.event_id] = step
                return []
            case "activity_task_started":
                started = event.activity_task_started_event_attributes
                self._begun[started.scheduled_event_id] = (at, started.attempt)
                step = self._steps.get(started.scheduled_event_id, "")
                lines = []
                if started.HasField("last_failure"):
                    why = failure(started.last_failure, retryable=True, attempt=None, at=None)
                    lines.append(
                        LogLine(
                            at=at,
                            level=Level.WARNING,
                            step=step,
                            attempt=started.attempt - 1,
                            text=f"failed: {why.type}: {why.message}",
                        )
                    )
                what = self._summaries.get(started.scheduled_event_id)
                text = f"started: {what}" if what else "started"
                begun = LogLine(at=at, step=step, attempt=started.attempt, text=text)
                return [*lines, begun]
            case "activity_task_completed":
                number = event.activity_task_completed_event_attributes.scheduled_event_id
                return [self._ended(number, at, Level.INFO, "completed")]
            case "activity_task_failed":
                failed = event.activity_task_failed_event_attributes
                why = failure(failed.failure, retryable=False, attempt=None, at=None)
                text = f"failed: {why.type}: {why.message}"
                return [self._ended(failed.scheduled_event_id, at, Level.ERROR, text)]
            case "activity_task_timed_out":
                timed_out = event.activity_task_timed_out_event_attributes
                why = failure(timed_out.failure, retryable=False, attempt=None, at=None)
                text = f"timed out: {why.message}"
                return [self._ended(timed_out.scheduled_event_id, at, Level.ERROR, text)]
            case "activity_task_canceled":
                number = event.activity_task_canceled_event_attributes.scheduled_event_id
                return [self._ended(number, at, Level.WARNING, "cancelled")]
            case _:
                return []

    def _ended(self, scheduled: int, at: datetime, level: Level, text: str) -> LogLine:
        begun, attempt = self._begun.get(scheduled, (at, None))
        return LogLine(
            at=at,
            level=level,
            step=self._steps.get(scheduled),
            attempt=attempt,
            text=f"{text} after {(at - begun).total_seconds():.2f} s",
        )

"""Limits and pauses of queues, set while everything runs: with a reason, an author and an end.

They are the server's queue limits, so that they bind all workers together and outlast each. The
end of a pause is a delayed workflow on the paused queue itself: workflow tasks are not paused, so
whoever works on the queue also ends its pause, and no other process has to live for it.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.queues import ACTIVITY, QueueStatus, chosen_limit, describe, queue_status
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError, Problem
from jobs.limits import (
    END_PAUSE_WORKFLOW,
    EndPause,
    Limit,
    Pause,
    end_pause_id,
    rate_words,
    read_reason,
    write_reason,
)

MAX_REASON: Final = 200
"""Bytes. The server keeps 1,000, and a pause keeps the reason of a limit besides its own."""
MAX_AUTHOR: Final = 100
MAX_RATE: Final = 100_000.0
LONGEST_PAUSE: Final = timedelta(days=366)
LOOKS: Final = 100
LOOK_INTERVAL_S: Final = 0.05
SETTINGS: Final = "CONVEYOR_RATES"
"""Author of limits that the settings give; they never replace what a person chose."""


async def set_rate(
    temporal: Client, queue: str, rate: float | None, *, reason: str, author: str
) -> QueueStatus:
    """Let at most ``rate`` steps a second of ``queue`` start, over all workers; None is unlimited.

    A paused queue stays paused; the rate holds afterwards.

    Raises:
        InvalidInputError: The rate is not above 0, or the reason is missing or too long.
    """
    problems = _told(reason, author)
    if rate is not None and not (math.isfinite(rate) and 0 < rate <= MAX_RATE):
        fix = f"{rate:g}: use a rate above 0, up to {MAX_RATE:,.0f}/s; 0 is `starter.py pause`"
        problems.insert(0, Problem("rate", fix))
    if problems:
        raise InvalidInputError(problems)
    limit, paused = await _kept(temporal, queue)
    limit = Limit(rate=rate, reason=reason, author=author)
    if paused is None:
        await _write(temporal, queue, rate, reason, author)
    else:
        kept = write_reason(paused.reason, paused.pause.model_copy(update={"limit": limit}))
        await _write(temporal, queue, 0, kept, paused.author)
    return await queue_status(temporal, queue)


async def pause(
    temporal: Client, queue: str, *, reason: str, author: str, lasts: timedelta | None = None
) -> QueueStatus:
    """Start no step of ``queue``; those that run go on. A pause of a paused queue replaces it.

    Raises:
        InvalidInputError: The reason is missing or too long, or the pause would end at once.
    """
    problems = _told(reason, author)
    if lasts is not None and not timedelta(0) < lasts <= LONGEST_PAUSE:
        problems.append(Problem("for", f"{lasts}: use a span above 0, up to a year"))
    if problems:
        raise InvalidInputError(problems)
    limit, _ = await _kept(temporal, queue)
    until = datetime.now(UTC) + lasts if lasts else None
    if until is not None and lasts is not None:  # before the pause, so that none is without its end
        await _end_later(temporal, EndPause(queue=queue, until=until), lasts)
    await _write(temporal, queue, 0, write_reason(reason, Pause(until=until, limit=limit)), author)
    if until is None:
        await _forget_end(temporal, queue)
    return await queue_status(temporal, queue)


async def resume(temporal: Client, queue: str) -> QueueStatus:
    """Start steps of ``queue`` again, under the limit that held before the pause.

    Raises:
        ConflictError: The queue is not paused.
    """
    limit, paused = await _kept(temporal, queue)
    if paused is None:
        msg = f"queue '{queue}' is not paused"
        raise ConflictError(msg)
    await _restore(temporal, queue, limit)
    await _forget_end(temporal, queue)
    return await queue_status(temporal, queue)


async def apply_rates(temporal: Client, rates: Mapping[str, float]) -> Sequence[str]:
    """Make the settings' rates the server's limits; return what was set or stays, in words.

    What a person has chosen stays, also "unlimited", and so does a pause. A queue that ``rates``
    does not name is left alone, since processes with other settings share it.
    """
    return [
        told for queue, rate in rates.items() if (told := await _apply_rate(temporal, queue, rate))
    ]


async def _apply_rate(temporal: Client, queue: str, rate: float) -> str | None:
    limit, paused = await _kept(temporal, queue)
    if paused is not None:
        return f"{queue} stays paused by {paused.author}"
    if limit is not None and limit.author != SETTINGS:
        return f"{queue} stays {rate_words(limit.rate)}, set by {limit.author}"
    if limit is not None and rate_words(limit.rate) == rate_words(rate):
        return None
    await _write(temporal, queue, rate, SETTINGS, SETTINGS)
    return f"{queue} {rate_words(rate)}"


@dataclass(frozen=True, slots=True)
class QueueKeeper:
    """Ends pauses, for the workflow that waits for it."""

    temporal: Client

    async def end_pause(self, ending: EndPause) -> bool:
        """Resume the queue, unless the pause was ended or replaced before; tell whether it was."""
        limit, paused = await _kept(self.temporal, ending.queue)
        if paused is None or paused.pause.until != ending.until:
            return False
        await _restore(self.temporal, ending.queue, limit)
        return True


@dataclass(frozen=True, slots=True)
class _Paused:
    reason: str
    author: str
    pause: Pause


async def _kept(temporal: Client, queue: str) -> tuple[Limit | None, _Paused | None]:
    """Return the limit that holds, or will after the pause, and the pause."""
    chosen = chosen_limit(await describe(temporal, queue, ACTIVITY))
    if chosen is None:
        return None, None
    told = chosen.metadata
    rate = chosen.rate_limit.requests_per_second if chosen.HasField("rate_limit") else None
    if rate != 0:
        return Limit(rate=rate, reason=told.reason, author=told.update_identity), None
    reason, pause = read_reason(told.reason)
    return pause.limit, _Paused(reason=reason, author=told.update_identity, pause=pause)


async def _restore(temporal: Client, queue: str, limit: Limit | None) -> None:
    kept = limit or Limit()
    await _write(temporal, queue, kept.rate, kept.reason, kept.author)


async def _write(
    temporal: Client, queue: str, rate: float | None, reason: str, author: str
) -> None:
    """Set the server's limit, and return when the server also shows it."""
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(
        rate_limit=RateLimit(requests_per_second=rate) if rate is not None else None,
        reason=reason,
    )
    request = UpdateTaskQueueConfigRequest(
        namespace=temporal.namespace,
        identity=author,
        task_queue=queue,
        task_queue_type=ACTIVITY,
        update_queue_rate_limit=update,
    )
    with translated_errors():
        answer = await temporal.workflow_service.update_task_queue_config(
            request, timeout=RPC_TIMEOUT
        )
    written = answer.config.queue_rate_limit.metadata.update_time.ToNanoseconds()
    for _ in range(LOOKS):  # the side of the queue that enforces it learns of it a moment later
        shown = (await describe(temporal, queue, ACTIVITY)).config.queue_rate_limit
        if shown.metadata.update_time.ToNanoseconds() >= written:
            return
        await asyncio.sleep(LOOK_INTERVAL_S)


async def _end_later(temporal: Client, ending: EndPause, lasts: timedelta) -> None:
    with translated_errors():
        await temporal.start_workflow(
            END_PAUSE_WORKFLOW,
            ending,
            id=end_pause_id(ending.queue),
            task_queue=ending.queue,
            start_delay=lasts,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
            static_summary=f"end the pause of queue **{ending.queue}**",
            rpc_timeout=RPC_TIMEOUT,
        )


async def _forget_end(temporal: Client, queue: str) -> None:
    try:
        with translated_errors():
            handle = temporal.get_workflow_handle(end_pause_id(queue))
            await handle.terminate(reason="the pause was ended by hand", rpc_timeout=RPC_TIMEOUT)
    except JobNotFoundError:
        return  # it had no end, or that has come


def _told(reason: str, author: str) -> list[Problem]:
    found = []
    if not _is_line(reason, MAX_REASON):
        found.append(Problem("reason", f"say why in one line of up to {MAX_REASON} characters"))
    if not _is_line(author, MAX_AUTHOR):
        found.append(Problem("by", f"say who in one line of up to {MAX_AUTHOR} characters"))
    return found


def _is_line(text: str, longest: int) -> bool:
    return bool(text.strip()) and len(text.encode()) <= longest and text.isprintable()

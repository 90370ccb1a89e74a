"""How each queue stands: what waits, who polls, what limits it. Works with no worker alive.

Limits and pauses are of the queue's activity side, where the work is. Workflow tasks are never
held up, so that jobs of a paused queue can still be cancelled, held and rescheduled.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListWorkersRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from jobs.base import Contract, Queue
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.errors import InvalidInputError, Problem
from jobs.limits import read_reason
from jobs.validation import nearest

ACTIVITY: Final = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
WORKFLOW: Final = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
BY_WORKER: Final = RateLimitSource.RATE_LIMIT_SOURCE_WORKER
MAX_WORKERS: Final = 1000
"""Workers that are looked at for their slots."""


class QueueStatus(Contract):
    """One queue as it is now."""

    name: str
    waiting: int
    """Steps and beginnings of jobs that no worker has taken yet."""
    oldest_seconds: float | None = None
    """How long the oldest of them has waited."""
    pollers: int
    """Workers that asked for work within the last five minutes."""
    last_poll_at: datetime | None = None
    slots: int | None = None
    """Steps that the running workers do at once, all together; null where none tells."""
    rate: float | None = None
    """Most steps started a second, over all workers; null is unlimited. While the queue is paused,
    the rate that will hold afterwards."""
    paused: bool = False
    """No step is started; those that run go on."""
    reason: str | None = None
    """Why the queue is paused, or else limited."""
    author: str | None = None
    """Who said so."""
    since: datetime | None = None
    """When they said so."""
    until: datetime | None = None
    """When the pause ends by itself; null if it does not."""


def find_queue(name: str) -> Queue:
    """Return the queue of that name.

    Raises:
        InvalidInputError: there is none, with the nearest name.
    """
    try:
        return Queue(name)
    except ValueError:
        problem = Problem("queue", f"no queue {name!r}; {nearest(name, list(Queue))}")
        raise InvalidInputError([problem]) from None


async def queue_status(temporal: Client, queue: str) -> QueueStatus:
    """Return how one queue stands, in two calls to the server."""
    steps, beginnings = await asyncio.gather(
        describe(temporal, queue, ACTIVITY), describe(temporal, queue, WORKFLOW)
    )
    sides = (steps, beginnings)
    waiting = [side.stats for side in sides if side.stats.approximate_backlog_count]
    ages = [stats.approximate_backlog_age.ToTimedelta() for stats in waiting]
    polls = {
        poller.identity: poller.last_access_time.ToDatetime(UTC)
        for side in sides
        for poller in sorted(side.pollers, key=lambda p: p.last_access_time.ToNanoseconds())
    }
    return QueueStatus(
        name=queue,
        waiting=sum(stats.approximate_backlog_count for stats in waiting),
        oldest_seconds=max(ages).total_seconds() if ages else None,
        pollers=len(polls),
        last_poll_at=max(polls.values(), default=None),
    ).model_copy(update=_limit_of(steps))


async def queue_statuses(temporal: Client) -> Sequence[QueueStatus]:
    """Return how every queue stands, in the order of ``Queue``."""
    slots, statuses = await asyncio.gather(
        _slots(temporal), asyncio.gather(*(queue_status(temporal, queue) for queue in Queue))
    )
    return [status.model_copy(update={"slots": slots.get(status.name)}) for status in statuses]


def _limit_of(steps: DescribeTaskQueueResponse) -> dict[str, object]:
    """Return the fields of a queue's limit, or of the pause that replaced it."""
    chosen = chosen_limit(steps)
    if chosen is None:
        worker_rate = steps.effective_rate_limit
        return (
            {"rate": worker_rate.requests_per_second}
            if worker_rate.rate_limit_source == BY_WORKER
            else {}
        )
    limited = chosen.HasField("rate_limit")
    rate = chosen.rate_limit.requests_per_second if limited else None
    facts: dict[str, object] = {
        "rate": rate,
        "reason": chosen.metadata.reason or None,
        "author": chosen.metadata.update_identity or None,
        "since": chosen.metadata.update_time.ToDatetime(UTC),
    }
    if rate == 0:
        words, pause = read_reason(chosen.metadata.reason)
        after = pause.limit.rate if pause.limit else None
        facts |= {"paused": True, "rate": after, "reason": words or None, "until": pause.until}
    return facts


def chosen_limit(steps: DescribeTaskQueueResponse) -> RateLimitConfig | None:
    """Return the rate that somebody chose for a queue, if anybody did, be it unlimited."""
    chosen = steps.config.queue_rate_limit
    return chosen if chosen.HasField("rate_limit") or chosen.metadata.update_identity else None


async def describe(
    temporal: Client, queue: str, side: TaskQueueType.ValueType
) -> DescribeTaskQueueResponse:
    """Return all that the server tells of one side of a queue."""
    request = DescribeTaskQueueRequest(
        namespace=temporal.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=side,
        report_stats=True,
        report_config=True,
        report_pollers=True,
    )
    with translated_errors():
        return await temporal.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)


async def _slots(temporal: Client) -> Mapping[str, int]:
    """Return how many steps the running workers do at once, by queue."""
    request = ListWorkersRequest(namespace=temporal.namespace, page_size=MAX_WORKERS)
    try:
        with translated_errors():
            answer = await temporal.workflow_service.list_workers(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:  # a server older than the call
            return {}
        raise
    slots: Counter[str] = Counter()
    for worker in answer.workers_info:
        beat = worker.worker_heartbeat
        if beat.status == WorkerStatus.WORKER_STATUS_RUNNING:
            steps = beat.activity_task_slots_info
            slots[beat.task_queue] += steps.current_available_slots + steps.current_used_slots
    return slots

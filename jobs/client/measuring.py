"""What the server tells of queues and open jobs, as metrics; works with no worker alive."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.client.queues import QueueStatus, queue_status
from jobs.kinds import KINDS
from jobs.metrics import (
    JOBS_OPEN,
    QUEUE_OLDEST,
    QUEUE_PAUSED,
    QUEUE_POLLERS,
    QUEUE_WAITING,
    Metric,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One gauge as it stands."""

    metric: Metric
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


async def read_queues(temporal: Client, queues: Collection[str]) -> Sequence[Reading]:
    """Return how ``queues`` stand.

    Raises:
        ServerUnreachableError: the server does not answer.
    """
    statuses = await asyncio.gather(*(queue_status(temporal, queue) for queue in queues))
    return [reading for status in statuses for reading in _of_queue(status)]


def _of_queue(status: QueueStatus) -> Sequence[Reading]:
    labels = {"queue": status.name}
    return (
        Reading(QUEUE_WAITING, status.waiting, labels),
        Reading(QUEUE_OLDEST, status.oldest_seconds or 0.0, labels),
        Reading(QUEUE_POLLERS, status.pollers, labels),
        Reading(QUEUE_PAUSED, int(status.paused), labels),
    )


async def read_open_jobs(temporal: Client) -> Sequence[Reading]:
    """Return how many jobs of each kind have not ended.

    Raises:
        ServerUnreachableError: the server does not answer.
    """
    return await asyncio.gather(*(_open_of_kind(temporal, kind) for kind in KINDS))


async def _open_of_kind(temporal: Client, kind: str) -> Reading:
    query = f"{JobFilter(kind=kind).query()} AND ExecutionStatus = 'Running'"
    with translated_errors():
        counted = await temporal.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
    return Reading(JOBS_OPEN, counted.count, {"kind": kind})

"""Counts of jobs, and of their errors, from the server's visibility index.

The index counts runs. Those that a retry or a replacement left behind are told from the newest by
asking for the other runs of their ids, as long as there are not too many.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from jobs.attributes import JOB_ERROR
from jobs.base import Contract
from jobs.client import listing, reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.kinds import KINDS, KINDS_BY_WORKFLOW
from jobs.status import CLOSED, JobState

STATES: Final = {
    "Canceled": JobState.CANCELLED.value,
    "TimedOut": JobState.TIMED_OUT.value,
    "Running": "open",
}
"""Where the server's word is another; the rest is the same in lower case."""

ENDED_BADLY: Final = "ExecutionStatus IN ('Failed', 'TimedOut', 'Canceled', 'Terminated')"
"""Only such runs can have a newer one."""
MOST_LEFT_BEHIND: Final = 5000
"""With more runs that ended badly, all of them are counted: to look at each would take too long."""

NO_TYPE: Final = "Unknown"


class Count(Contract):
    """How many jobs share a kind, a state or an error type."""

    kind: str | None = None
    state: str | None = None
    error: str | None = None
    count: int
    first_at: datetime | None = None
    """When the first of those with an error type failed."""
    last_at: datetime | None = None
    """When the last did."""
    example: str | None = None
    """Id of the last."""


async def count(client: Client, by: str, *, owner: str | None = None) -> list[Count]:
    """Count the jobs by ``kind`` (and state), ``state`` or ``error``."""
    if by == "error":
        return await _by_error(client, JobFilter(owner=owner, state=JobState.FAILED).query())
    old = await _left_behind(client, f"{JobFilter(owner=owner).query()} AND {ENDED_BADLY}")
    if by == "state":
        counts = await _by_status(client, JobFilter(owner=owner).query())
        return [
            Count(state=state, count=left)
            for state, number in counts.items()
            if (left := number - sum(n for (_, of), n in old.items() if of == state))
        ]
    queries = {kind: JobFilter(owner=owner, kind=kind).query() for kind in KINDS}
    found = await asyncio.gather(*(_by_status(client, query) for query in queries.values()))
    return [
        Count(kind=kind, state=state, count=left)
        for kind, counts in zip(queries, found, strict=True)
        for state, number in counts.items()
        if (left := number - old[kind, state])
    ]


async def _by_status(client: Client, query: str) -> dict[str, int]:
    with translated_errors():
        counted = await client.count_workflows(
            f"{query} GROUP BY ExecutionStatus", rpc_timeout=RPC_TIMEOUT
        )
    names = [(str(group.group_values[0]), group.count) for group in counted.groups]
    return {STATES.get(name, name.lower()): number for name, number in names}


async def _left_behind(client: Client, query: str) -> Counter[tuple[str, str]]:
    """Return how many of the runs have a newer one, by kind and state."""
    found: Counter[tuple[str, str]] = Counter()
    with translated_errors():
        counted = await client.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
    if counted.count > MOST_LEFT_BEHIND:
        return found
    async for info, newest in _told_apart(client, query):
        kind = KINDS_BY_WORKFLOW.get(info.type.name)
        if kind is not None and not newest:
            found[kind.name, CLOSED[info.status].value] += 1
    return found


async def _told_apart(
    client: Client, query: str
) -> AsyncIterator[tuple[WorkflowExecutionInfo, bool]]:
    """Yield every run that ended badly, and whether it is the newest of its id."""
    token = b""
    while True:
        infos, token = await listing.executions(client, query, listing.MAX_PAGE, token)
        old = await listing.superseded(client, infos)
        for info in infos:
            yield info, info.execution.run_id not in old
        if not token:
            return


async def _by_error(client: Client, query: str) -> list[Count]:
    """Count failed jobs by error type; the index does not group by it, so the rows are read."""
    groups: dict[str, Count] = {}
    async for info, newest in _told_apart(client, query):
        if not newest:
            continue
        fields = info.search_attributes.indexed_fields
        error = (
            str(await reading.decode(client, [fields[JOB_ERROR.name]]))
            if JOB_ERROR.name in fields
            else NO_TYPE
        )
        at = reading.instant(info.close_time)
        known = groups.get(error)
        if known is None or known.last_at is None or known.first_at is None:
            example = info.execution.workflow_id
            groups[error] = Count(error=error, count=1, first_at=at, last_at=at, example=example)
            continue
        groups[error] = known.model_copy(
            update={
                "count": known.count + 1,
                "first_at": min(known.first_at, at),
                "last_at": max(known.last_at, at),
                "example": info.execution.workflow_id if at > known.last_at else known.example,
            }
        )
    return sorted(groups.values(), key=lambda group: -group.count)

"""Asking jobs to stop: one, or every open one that a filter matches."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs.base import Contract
from jobs.client import listing, reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.errors import InvalidInputError, JobNotFoundError, Problem
from jobs.kinds import KINDS_BY_WORKFLOW

OPEN: Final = "ExecutionStatus IN ('Running', 'Paused')"
AT_ONCE: Final = 20


class Cancelled(Contract):
    """What a cancel by filter has asked to stop, or with ``dry_run`` would."""

    count: int
    kinds: dict[str, int]
    dry_run: bool = False


async def cancel(client: Client, description: DescribeWorkflowExecutionResponse) -> None:
    """Ask the job that is described to stop.

    Raises:
        ConflictError: It has already ended.
    """
    await _cancel(client, reading.id_of_open(description))


async def cancel_matching(
    client: Client, wanted: JobFilter, *, owner: str | None, dry_run: bool
) -> Cancelled:
    """Ask every open job to stop that a filter matches.

    Raises:
        InvalidInputError: The filter names nothing: that would be every open job.
    """
    if wanted == JobFilter():
        fix = "name at least one of kind, owner, tag and since"
        raise InvalidInputError([Problem("filter", fix)])
    if owner is not None:
        wanted = replace(wanted, owner=owner)
    found: dict[str, str] = {}
    async for info in listing.every_execution(client, f"{wanted.query()} AND {OPEN}"):
        kind = KINDS_BY_WORKFLOW.get(info.type.name)
        found.setdefault(info.execution.workflow_id, kind.name if kind else info.type.name)
    if not dry_run:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_cancel_listed(client, job_id, gate) for job_id in found))
    kinds = Counter(found.values())
    return Cancelled(count=len(found), kinds=dict(kinds.most_common()), dry_run=dry_run)


async def _cancel_listed(client: Client, job_id: str, gate: asyncio.Semaphore) -> None:
    async with gate:
        try:
            await _cancel(client, job_id)
        except JobNotFoundError:
            return  # it has ended since it was listed


async def _cancel(client: Client, job_id: str) -> None:
    with translated_errors(job_id):
        await client.get_workflow_handle(job_id).cancel(rpc_timeout=RPC_TIMEOUT)

"""Redriving by filter: what it would do, doing it, and how far it is."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from uuid6 import uuid7

from jobs.attributes import JOB_ERROR
from jobs.base import Contract
from jobs.client import listing, reading, reset_points, retrying
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.listing import JobFilter
from jobs.client.redriver import query
from jobs.errors import InvalidInputError, JobNotFoundError, Problem
from jobs.kinds import KINDS_BY_WORKFLOW
from jobs.redrives import (
    DEADLINE,
    MEMO_COUNTS,
    MEMO_ORDER,
    QUEUE,
    WORKFLOW,
    Redrive,
    RedriveCounts,
    RedriveFilter,
    Redriven,
    RedriveProgress,
)
from jobs.status import JobFailure, JobState, current_activity, derive_state

SAMPLE: Final = 100
"""Jobs of a preview that are asked where they would go on."""
ASKED_AT_ONCE: Final = 20
SLOWEST: Final = 0.001
FASTEST: Final = 10_000.0


class RedrivePreview(Contract):
    """What a redrive would do."""

    count: int
    """Jobs that would go on."""
    kinds: dict[str, int]
    errors: dict[str, int]
    """By type of the failure; those that timed out or were ended have none."""
    oldest: datetime | None = None
    """When the first of them ended."""
    begins: dict[str, int]
    """From where they would go on; of ``sampled`` jobs."""
    sampled: int


class RedriveStatus(Contract):
    """How far a redrive is."""

    id: str
    state: JobState
    filter: RedriveFilter
    rate: float | None = None
    counts: RedriveCounts
    outcomes: str | None = None
    """Folder in storage with a line of JSON for each job, once it is done."""
    error: JobFailure | None = None
    created_at: datetime
    finished_at: datetime | None = None


def checked(wanted: JobFilter) -> RedriveFilter:
    """Return the filter as redrives keep it.

    Raises:
        InvalidInputError: A value can match nothing, the filter is empty, or wants open jobs.
    """
    if replace(wanted, state=None) == JobFilter():
        fix = "name at least one of kind, error, owner, tag and since"
        raise InvalidInputError([Problem("filter", fix)])
    if wanted.state is not None and wanted.state not in retrying.RETRIED:
        fix = f"{wanted.state}: jobs that failed, timed out, or were cancelled or terminated go on"
        raise InvalidInputError([Problem("state", fix)])
    wanted.query()
    return RedriveFilter(
        kind=wanted.kind,
        state=wanted.state,
        owner=wanted.owner,
        error=wanted.error,
        tag="=".join(wanted.tag) if wanted.tag else None,
        since=wanted.since,
    )


async def preview(client: Client, wanted: RedriveFilter) -> RedrivePreview:
    """Tell what a redrive would do, and do nothing."""
    infos = await _newest(client, query(wanted, datetime.now(UTC)))
    kinds: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for info in infos:
        kinds[_kind(info)] += 1
        fields = info.search_attributes.indexed_fields
        if JOB_ERROR.name in fields:
            errors[str(await reading.decode(client, [fields[JOB_ERROR.name]]))] += 1
    step = max(1, -(-len(infos) // SAMPLE))
    begins = await _begins(client, infos[::step])
    return RedrivePreview(
        count=len(infos),
        kinds=dict(kinds.most_common()),
        errors=dict(errors.most_common()),
        oldest=min((reading.instant(info.close_time) for info in infos), default=None),
        begins=dict(begins.most_common()),
        sampled=begins.total(),
    )


async def _newest(client: Client, query: str) -> list[WorkflowExecutionInfo]:
    """Return the runs that match and have no newer one."""
    found = [info async for info in listing.every_execution(client, query)]
    newest: list[WorkflowExecutionInfo] = []
    for start in range(0, len(found), listing.MAX_PAGE):
        part = found[start : start + listing.MAX_PAGE]
        old = await listing.superseded(client, part)
        newest += [info for info in part if info.execution.run_id not in old]
    return newest


async def _begins(client: Client, infos: Sequence[WorkflowExecutionInfo]) -> Counter[str]:
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(info: WorkflowExecutionInfo) -> str | None:
        async with gate:
            try:
                point = await reset_points.find(
                    client, info.execution.workflow_id, info.execution.run_id
                )
            except JobNotFoundError:
                return None
        return f"{_kind(info)}: {point.why}" if point else None

    return Counter(told for told in await asyncio.gather(*map(ask, infos)) if told)


def _kind(info: WorkflowExecutionInfo) -> str:
    kind = KINDS_BY_WORKFLOW.get(info.type.name)
    return kind.name if kind else info.type.name


async def start(client: Client, wanted: RedriveFilter, rate: float | None) -> str:
    """Start a redrive and return its id.

    Raises:
        InvalidInputError: The rate can't be kept.
    """
    if rate is not None and not SLOWEST <= rate <= FASTEST:
        fix = f"{rate:g}: use {SLOWEST:g} to {FASTEST:,.0f} jobs a second"
        raise InvalidInputError([Problem("rate", fix)])
    redrive_id = f"redrive-{uuid7()}"
    order = Redrive(wanted=wanted, before=datetime.now(UTC), rate=rate)
    fields = wanted.model_dump(mode="json", exclude_none=True)
    told = ", ".join(f"{name} {value}" for name, value in fields.items())
    with translated_errors(redrive_id):
        await client.start_workflow(
            WORKFLOW,
            order,
            id=redrive_id,
            task_queue=QUEUE,
            execution_timeout=DEADLINE,
            memo={MEMO_ORDER: order},
            static_summary=f"redrive jobs with {told}",
            rpc_timeout=RPC_TIMEOUT,
        )
    return redrive_id


async def status(client: Client, redrive_id: str) -> RedriveStatus:
    """Return how far a redrive is.

    Raises:
        JobNotFoundError: There is no such redrive.
    """
    description = await reading.describe(client, redrive_id)
    info = description.workflow_execution_info
    if info.type.name != WORKFLOW:
        raise JobNotFoundError(redrive_id)
    order = Redrive.model_validate(await reading.memo_value(client, info, MEMO_ORDER))
    told = await reading.told(client, description)
    counts = await _counts(client, description)
    outcomes = None
    if told.result is not None:
        result = Redriven.model_validate(told.result)
        counts, outcomes = result.counts, result.outcomes
    return RedriveStatus(
        id=redrive_id,
        state=derive_state(description),
        filter=order.wanted,
        rate=order.rate,
        counts=counts,
        outcomes=outcomes,
        error=told.error,
        created_at=told.created_at,
        finished_at=told.finished_at,
    )


async def _counts(client: Client, description: DescribeWorkflowExecutionResponse) -> RedriveCounts:
    pending = current_activity(description)
    if pending is not None and pending.heartbeat_details.payloads:
        payloads = list(pending.heartbeat_details.payloads[:1])
        progress = (await client.data_converter.decode(payloads, [RedriveProgress]))[0]
        return RedriveCounts.model_validate(progress.counts)
    info = description.workflow_execution_info
    told: Any = await reading.memo_value(client, info, MEMO_COUNTS)
    return RedriveCounts.model_validate(told) if told else RedriveCounts()

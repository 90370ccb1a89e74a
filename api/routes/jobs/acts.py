"""Acts on one job: cancel, retry, hold, release, move, end, forget."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.access import Caller, Writer
from api.answers import (
    Body,
    Instant,
    JobId,
    job_answer,
    with_links,
)
from api.problems import documented
from api.services import Open, Services
from jobs.client.holding import MAX_REASON
from jobs.status import JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It is asked to stop"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def cancel(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Ask a job to stop; it cleans up and ends as cancelled."""
    await services.jobs_of(caller).cancel(job_id)
    return await _acted(services, caller, job_id)


class NewTime(Body):
    """When a job is to begin."""

    at: Instant


@router.post(
    "/{job_id}/reschedule",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It begins then"},
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def reschedule(caller: Writer, services: Open, job_id: JobId, when: NewTime) -> Response:
    """Let a job that has not begun begin at another time."""
    job = await services.jobs_of(caller).reschedule(job_id, when.at)
    return job_answer(with_links(job, admin=caller.sees is None), 202)


@router.post(
    "/{job_id}/promote",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It begins now"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def promote(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Let a job that has not begun begin now."""
    job = await services.jobs_of(caller).promote(job_id)
    return job_answer(with_links(job, admin=caller.sees is None), 202)


class RetryOrder(Body):
    """How to retry."""

    now: bool = False
    """Also make the attempt that an open job waits for."""


@router.post(
    "/{job_id}/retry",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It goes on from its failed step"},
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def retry(
    caller: Writer, services: Open, job_id: JobId, order: RetryOrder | None = None
) -> Response:
    """Let a job that ended badly go on from its failed step; what was finished stays."""
    await services.jobs_of(caller).retry(job_id, now=order is not None and order.now)
    return await _acted(services, caller, job_id)


class HoldOrder(Body):
    """Why a job is to wait."""

    reason: str = Field(min_length=1, max_length=MAX_REASON, examples=["the price list is wrong"])
    """Shown wherever the job is."""


@router.post(
    "/{job_id}/hold",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It begins no further step"},
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def hold(caller: Writer, services: Open, job_id: JobId, order: HoldOrder) -> Response:
    """Let a job begin no further step until it is released; a running step goes on."""
    await services.jobs_of(caller).hold(job_id, order.reason)
    return await _acted(services, caller, job_id)


@router.post(
    "/{job_id}/release",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It goes on"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def release(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Let a held job go on; a step whose failure held it runs afresh."""
    await services.jobs_of(caller).release(job_id)
    return await _acted(services, caller, job_id)


class TerminateOrder(Body):
    """Why a job is ended."""

    reason: str = Field(default="by request over HTTP", min_length=1, max_length=MAX_REASON)
    """Shown in its log."""


@router.post(
    "/{job_id}/terminate",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It has ended"},
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def terminate(
    caller: Writer, services: Open, job_id: JobId, order: TerminateOrder | None = None
) -> Response:
    """End a job at once, also one that hangs; it can't clean up, so `cancel` is better."""
    await services.jobs_of(caller).terminate(job_id, (order or TerminateOrder()).reason)
    return await _acted(services, caller, job_id)


@router.delete(
    "/{job_id}",
    status_code=204,
    response_model=None,
    responses={
        204: {"description": "It is forgotten: input, log, ledgers, files"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def delete(
    caller: Writer,
    services: Open,
    job_id: JobId,
    results: Annotated[
        bool, Query(description="Whether the files that the job was asked for go too.")
    ] = True,
) -> Response:
    """Forget a job that has ended, with all its traces."""
    await services.jobs_of(caller).delete(job_id, services.traces, results=results)
    return Response(status_code=204)


async def _acted(services: Services, caller: Caller, job_id: str) -> Response:
    job = await services.jobs_of(caller).status(job_id)
    return job_answer(with_links(job, admin=caller.sees is None), 202)

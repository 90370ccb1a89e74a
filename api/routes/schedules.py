"""Schedules, for operators."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from api.access import Admin
from api.answers import Body, Instant, answer
from api.problems import ApiError, documented
from api.services import Open
from jobs.schedules.client import ScheduleInfo

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])

MOST_TIMES: Final = 1000
LONGEST: Final = timedelta(days=366)

Id = Annotated[str, Path(max_length=200)]
READS: Final = documented(401, 403, 404, 422, 503)
WRITES: Final = documented(400, 401, 403, 404, 409, 413, 415, 422, 503)


class ScheduleList(BaseModel):
    """Schedules, by id."""

    data: list[ScheduleInfo]


class Times(BaseModel):
    """Instants."""

    data: list[Instant]


class Reason(Body):
    """Why."""

    reason: str = Field(min_length=1, max_length=500)


class Stretch(Body):
    """From the first instant to the last."""

    start: Instant
    end: Instant


@router.get("", response_model=None, responses={200: {"model": ScheduleList}, **READS})
async def list_schedules(_: Admin, services: Open) -> Response:
    """List the schedules with their latest runs."""
    return answer({"data": await services.schedules.list()})


@router.get(
    "/{schedule_id}", response_model=None, responses={200: {"model": ScheduleInfo}, **READS}
)
async def show(_: Admin, services: Open, schedule_id: Id) -> Response:
    """Show a schedule."""
    return answer(await services.schedules.show(schedule_id))


@router.get(
    "/{schedule_id}/preview", response_model=None, responses={200: {"model": Times}, **READS}
)
async def preview(
    _: Admin,
    services: Open,
    schedule_id: Id,
    start: Instant,
    count: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """Show when it will run from an instant on."""
    await services.schedules.show(schedule_id)
    return answer({"data": await services.schedules.upcoming(schedule_id, start, count)})


@router.post(
    "/{schedule_id}/pause", response_model=None, responses={200: {"model": ScheduleInfo}, **WRITES}
)
async def pause(_: Admin, services: Open, schedule_id: Id, why: Reason) -> Response:
    """Start nothing until it is resumed."""
    await services.schedules.show(schedule_id)
    await services.schedules.pause(schedule_id, why.reason)
    return answer(await services.schedules.show(schedule_id))


@router.post(
    "/{schedule_id}/resume", response_model=None, responses={200: {"model": ScheduleInfo}, **WRITES}
)
async def resume(_: Admin, services: Open, schedule_id: Id) -> Response:
    """Start runs again; what was due during the pause stays undone."""
    await services.schedules.show(schedule_id)
    await services.schedules.resume(schedule_id)
    return answer(await services.schedules.show(schedule_id))


@router.post(
    "/{schedule_id}/trigger",
    status_code=202,
    response_model=None,
    responses={202: {"model": ScheduleInfo}, **WRITES},
)
async def trigger(_: Admin, services: Open, schedule_id: Id) -> Response:
    """Run it now."""
    await services.schedules.show(schedule_id)
    await services.schedules.trigger(schedule_id)
    return answer(await services.schedules.show(schedule_id), 202)


@router.post(
    "/{schedule_id}/backfill",
    status_code=202,
    response_model=None,
    responses={202: {"model": Times}, **WRITES},
)
async def backfill(_: Admin, services: Open, schedule_id: Id, stretch: Stretch) -> Response:
    """Run it for every nominal time of a stretch of up to a year; answers with the times."""
    if not timedelta(0) <= stretch.end - stretch.start <= LONGEST:
        raise ApiError(422, "the end must come after the start, and within a year of it")
    await services.schedules.show(schedule_id)
    times = await services.schedules.preview(schedule_id, stretch.start, stretch.end)
    if len(times) > MOST_TIMES:
        raise ApiError(422, f"that would be {len(times):,} runs, {MOST_TIMES:,} are allowed")
    await services.schedules.backfill(schedule_id, stretch.start, stretch.end)
    return answer({"data": times}, 202)


@router.delete(
    "/{schedule_id}",
    status_code=204,
    response_model=None,
    responses={204: {"description": "It is deleted; what runs goes on"}, **READS},
)
async def delete(_: Admin, services: Open, schedule_id: Id) -> Response:
    """Delete a schedule."""
    await services.schedules.show(schedule_id)
    await services.schedules.delete(schedule_id)
    return Response(status_code=204)

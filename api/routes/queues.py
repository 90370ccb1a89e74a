"""Queues, for operators: how they stand, their limits and pauses."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from api.access import Admin
from api.answers import Body, Span, answer, parse_span
from api.problems import ApiError, documented
from api.services import Open
from jobs.base import Queue
from jobs.client import limits
from jobs.client.limits import MAX_RATE, MAX_REASON
from jobs.client.queues import QueueStatus, find_queue, queue_statuses
from jobs.errors import InvalidInputError
from jobs.limits import RATE_PATTERN, parse_rate

router = APIRouter(prefix="/v1/queues", tags=["queues"])

Name = Annotated[str, Path(max_length=100, examples=["emails"])]
Why = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]
RateText = Annotated[str, Field(pattern=RATE_PATTERN, max_length=20, examples=["10/m"])]
READS: Final = documented(401, 403, 503)
WRITES: Final = documented(400, 401, 403, 404, 409, 413, 415, 422, 503)


class QueueList(BaseModel):
    """Every queue."""

    data: list[QueueStatus]


class PauseOrder(Body):
    """Why, and for how long."""

    reason: Why
    lasts: Span | None = Field(default=None, alias="for")
    """The pause ends by itself after that time; null if it does not."""


class LimitOrder(Body):
    """How much, and why."""

    rate: RateText | Annotated[float, Field(gt=0, le=MAX_RATE)] | None
    """Most steps started a second, over all workers, or as text: `10/m`; null is unlimited."""
    reason: Why


@router.get("", response_model=None, responses={200: {"model": QueueList}, **READS})
async def list_queues(_: Admin, services: Open) -> Response:
    """Show each queue: what waits and how long, workers, slots, limit, pause."""
    return answer({"data": await queue_statuses(services.jobs.temporal)})


@router.post(
    "/{queue}/pause", response_model=None, responses={200: {"model": QueueStatus}, **WRITES}
)
async def pause(caller: Admin, services: Open, queue: Name, order: PauseOrder) -> Response:
    """Start no step of a queue; those that run go on. A pause of a paused queue replaces it."""
    status = await limits.pause(
        services.jobs.temporal,
        _known(queue),
        reason=order.reason,
        author=caller.owner,
        lasts=parse_span("for", order.lasts),
    )
    return answer(status)


@router.post(
    "/{queue}/resume", response_model=None, responses={200: {"model": QueueStatus}, **WRITES}
)
async def resume(_: Admin, services: Open, queue: Name) -> Response:
    """Start steps of a paused queue again, under the limit that it had."""
    return answer(await limits.resume(services.jobs.temporal, _known(queue)))


@router.put(
    "/{queue}/limit", response_model=None, responses={200: {"model": QueueStatus}, **WRITES}
)
async def set_limit(caller: Admin, services: Open, queue: Name, order: LimitOrder) -> Response:
    """Let a queue start only so many steps, over all workers, at once and until another is set."""
    status = await limits.set_rate(
        services.jobs.temporal,
        _known(queue),
        parse_rate(order.rate),
        reason=order.reason,
        author=caller.owner,
    )
    return answer(status)


def _known(name: str) -> Queue:
    try:
        return find_queue(name)
    except InvalidInputError as error:
        raise ApiError(404, error.problems[0].message) from None

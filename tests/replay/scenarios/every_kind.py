"""What may happen to a job of any kind: it completes, waits while it is held, is cancelled."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from jobs import kinds
from jobs.base import JobKind
from jobs.status import JobState
from tests.replay.house import House
from tests.replay.scenarios.events import published
from tests.replay.scenarios.scenario import Scenario
from tests.replay.scenarios.webhooks import arrived

Kind = JobKind[Any, Any]
SOON: Final = timedelta(seconds=2)


async def reminder(_: House) -> Mapping[str, Any]:
    """A reminder of a moment that is near."""
    at = datetime.now(UTC) + SOON
    return {"user_id": "ada", "message": "Lunch.", "send_at": at.isoformat()}


async def delivery(house: House) -> Mapping[str, Any]:
    """A delivery of an event that was published."""
    return await published(house)


async def webhook(house: House) -> Mapping[str, Any]:
    """An event that came in."""
    return await arrived(house, "github", "push")


INPUTS: Final[Mapping[str, Callable[[House], Awaitable[Mapping[str, Any]]]]] = {
    "reminder": reminder,
    "delivery": delivery,
    "webhook": webhook,
}
"""Kinds whose example needs something beside it."""


async def submit(house: House, kind: Kind) -> str:
    """Submit a job that will do well."""
    data = await INPUTS[kind.name](house) if kind.name in INPUTS else kind.example
    return await house.submit(kind.name, data)


async def completed(kind: Kind, house: House) -> Sequence[str]:
    """Nothing happens."""
    job_id = await submit(house, kind)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def held(kind: Kind, house: House) -> Sequence[str]:
    """The job is held before its first step, and released."""
    job_id = await submit(house, kind)
    await house.handle(job_id).signal("hold", "look at it first")
    async with house.working():
        await house.until(job_id, lambda job: job.state is JobState.HELD)
        await house.handle(job_id).signal("release")
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def cancelled(kind: Kind, house: House) -> Sequence[str]:
    """The job is cancelled while it is held."""
    job_id = await submit(house, kind)
    await house.handle(job_id).signal("hold", "look at it first")
    async with house.working():
        await house.until(job_id, lambda job: job.state is JobState.HELD)
        await house.handle(job_id).cancel()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


ALL: Final = tuple(
    Scenario(play.__name__, kind.name, partial(play, kind))
    for kind in kinds.ALL
    for play in (completed, held, cancelled)
)

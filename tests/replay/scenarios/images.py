"""Pictures: of the catalogue, broken, cut in the middle, with steps that got lost."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.database.images import Images
from jobs.base import Queue
from jobs.images import IMAGE
from jobs.images.records import ImageRecord
from jobs.status import JobState
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios

PHOTO: Final = str(IMAGE.example["source"])
RESIZE: Final[Mapping[str, Any]] = {"type": "resize", "width": 80}
SMALL: Final[Mapping[str, Any]] = {"source": PHOTO, "operations": [RESIZE]}
SLOW: Final = {"source": PHOTO, "operations": [{"type": "blur", "radius": 50}] * 3}


async def from_the_catalogue(house: House) -> Sequence[str]:
    """A picture of the catalogue, in variants."""
    now = datetime.now(UTC)
    record = ImageRecord(
        id="img-1", owner="", source=PHOTO, bytes=1, sha256="0" * 64, created_at=now, updated_at=now
    )
    await Images(house.adapters.database).add(record)
    variants = [{"name": "small", "operations": [RESIZE]}]
    job = {"image_id": "img-1", "operations": [RESIZE], "variants": variants}
    job_id = await house.submit("image", job)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def no_picture(house: House) -> Sequence[str]:
    """The file is no picture."""
    await house.adapters.storage.put("uploads/page.jpg", b"<!doctype html><html></html>")
    job_id = await house.submit("image", {**SMALL, "source": "uploads/page.jpg"})
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def cancelled_in_step(house: House) -> Sequence[str]:
    """The job is cancelled while a step runs."""
    job_id = await house.submit("image", SLOW)
    async with house.working():
        await house.until(job_id, lambda job: job.state is JobState.RUNNING)
        await house.handle(job_id).cancel()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def cut_by_shutdown(house: House) -> Sequence[str]:
    """The worker is stopped in a step; another does it again, uncounted."""
    job_id = await house.submit("image", SLOW)
    async with house.working():
        await house.until(job_id, lambda job: job.state is JobState.RUNNING)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def begun_again(house: House) -> Sequence[str]:
    """A picture between two steps got lost, so the job begins with its source once more."""
    job_id = await house.submit("image", SMALL)
    async with house.deciding():
        await house.fail_step(Queue.IMAGES, "IntermediateLost")
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def lost_for_good(house: House) -> Sequence[str]:
    """Pictures get lost each time, and what is half done can't be deleted either."""
    job_id = await house.submit("image", SMALL)
    async with house.deciding():
        for _ in range(3):
            await house.fail_step(Queue.IMAGES, "IntermediateLost")
        await house.fail_step(Queue.IMAGES, "StorageRefused")
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def timed_out(house: House) -> Sequence[str]:
    """No worker takes the step in time."""
    job_id = await house.submit("image", SMALL)
    async with house.deciding():
        await house.limit_step(job_id, "1of1", timedelta(seconds=1))
        await house.complete_step(Queue.IMAGES, None)
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def poison(house: House) -> Sequence[str]:
    """A step loses its worker once too often."""
    job_id = await house.submit("image", SMALL)
    await house.lose_workers(Queue.IMAGES, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


ALL: Final = scenarios(
    from_the_catalogue,
    no_picture,
    cancelled_in_step,
    cut_by_shutdown,
    begun_again,
    lost_for_good,
    timed_out,
    poison,
)

"""Jobs that have not begun are moved, with no worker alive."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.attributes import MEMO_MOVED
from jobs.client import JobClient, Submission, reading
from jobs.errors import ConflictError, InvalidInputError
from jobs.status import JobState
from tests.jobs.conftest import StartWorker

HOUR = timedelta(hours=1)


async def test_a_delayed_job_is_moved_and_keeps_everything_else(
    jobs: JobClient, unique: str
) -> None:
    options = Submission(key=unique, delay=HOUR, owner=unique, tags={"a": "b"}, priority=2)
    first = await jobs.submit("note", {"text": "x"}, options)
    at = datetime.now(UTC) + 5 * HOUR
    moved = await jobs.reschedule(first.id, at)
    assert (moved.state, moved.owner, moved.tags, moved.priority) == (
        JobState.SCHEDULED,
        unique,
        {"a": "b"},
        2,
    )
    assert moved.scheduled_at is not None
    assert abs(moved.scheduled_at - at) < timedelta(minutes=1)
    [line] = [line async for line in jobs.logs(first.id)]
    assert line.text == f"submitted, begins at {moved.scheduled_at:%Y-%m-%d %H:%M:%S} UTC"
    assert not (await jobs.submit("note", {"text": "x"}, options)).created
    started = await reading.describe(jobs.temporal, first.id)
    info = started.workflow_execution_info
    told = await reading.memo_value(jobs.temporal, info, MEMO_MOVED)
    assert datetime.fromisoformat(told) == at


async def test_a_delayed_job_begins_now_when_it_is_promoted(
    jobs: JobClient, unique: str, worker: StartWorker
) -> None:
    first = await jobs.submit("note", {"text": "x"}, Submission(key=unique, delay=HOUR))
    assert (await jobs.promote(first.id)).state is JobState.WAITING
    async with worker():
        final = await jobs.wait(first.id)
    assert (final.state, final.result) == (JobState.COMPLETED, {"text": "x"})


async def test_a_job_that_has_begun_is_not_moved(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique))
    with pytest.raises(ConflictError, match="only one that has not begun"):
        await jobs.reschedule(job.id, datetime.now(UTC) + HOUR)
    with pytest.raises(ConflictError, match="only one that has not begun"):
        await jobs.promote(job.id)


async def test_a_held_job_is_not_moved_past_its_hold(jobs: JobClient, unique: str) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, delay=HOUR))
    await jobs.hold(job.id, "the price is wrong")
    with pytest.raises(ConflictError, match=r"is held \(the price is wrong\).* release it first"):
        await jobs.promote(job.id)
    await jobs.release(job.id)
    assert (await jobs.promote(job.id)).state is JobState.WAITING


@pytest.mark.parametrize("offset", [-HOUR, timedelta(days=4000)])
async def test_an_instant_out_of_range_is_refused(
    jobs: JobClient, unique: str, offset: timedelta
) -> None:
    job = await jobs.submit("note", {"text": "x"}, Submission(key=unique, delay=HOUR))
    with pytest.raises(InvalidInputError, match="at: "):
        await jobs.reschedule(job.id, datetime.now(UTC) + offset)

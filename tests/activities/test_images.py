"""The image steps by themselves: repeated, interrupted, and over storage that fails."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.images import Broom, ImageActivities
from adapters.imaging.pool import ImagePool
from adapters.imaging.scratch import Scratch
from adapters.storage import Storage
from jobs.files import StorageUnavailable, StoredObject
from jobs.images import ImageFile, ImageJob
from jobs.images.errors import FileTooBig, IntermediateLost, SourceMissing, SourceNotVisible
from jobs.images.planning import plan
from jobs.images.steps import Abandonment, ImageStep, ImageWork, Picture, StepOutcome, WorkDone
from jobs.status import Progress
from tests.darkroom import corners, encoded


@dataclass
class Events:
    """A catalogue that writes down what it is told."""

    said: list[str] = field(default_factory=list)

    async def claim(self, image_id: str, owner: str | None, job_id: str) -> str:
        self.said.append(f"claim {image_id} {owner} {job_id}")
        return "in/photo.png"

    async def complete(self, image_id: str, job_id: str, files: Sequence[ImageFile]) -> None:
        self.said.append(f"complete {image_id} {job_id} {len(files)}")

    async def fail(self, image_id: str, job_id: str, error: str) -> None:
        self.said.append(f"fail {image_id} {job_id} {error}")


class Away(Storage):
    """A storage that can be read, not written."""

    def __init__(self, storage: Storage) -> None:
        self.__dict__ = storage.__dict__

    @override
    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        raise StorageUnavailable("the store is full")


class Unlisted(Storage):
    """A storage that fails to list."""

    def __init__(self, storage: Storage) -> None:
        self.__dict__ = storage.__dict__
        self.asked = 0

    @override
    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        self.asked += 1
        nothing: tuple[str, ...] = ()
        for key in nothing:
            yield StoredObject(key=key, size=0)
        raise StorageUnavailable("the store is away")


@dataclass
class LimitWatcher:
    """An engine that writes down how long it may take."""

    pool: ImagePool
    limits: list[timedelta] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return "other pixels"

    async def run(self, work: ImageWork, limit: timedelta) -> WorkDone:
        self.limits.append(limit)
        return await self.pool.run(work, limit)


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ImagePool]:
    pool = ImagePool(processes=1)
    await pool.warm()
    yield pool
    await pool.close()


@pytest.fixture
def environment() -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info,
        start_to_close_timeout=timedelta(seconds=60),
        started_time=datetime.now(UTC),
    )
    return environment


@pytest.fixture
async def steps(pool: ImagePool, tmp_path: Path) -> ImageActivities:
    storage = Storage.open("memory:")
    await storage.put("in/photo.png", encoded(corners()))
    return ImageActivities(
        storage=storage, engine=pool, scratch=Scratch(tmp_path), catalog=Events()
    )


async def keys(steps: ImageActivities) -> list[str]:
    return sorted([found.key async for found in steps.storage.list("")])


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.glob("**/*") if path.is_file()]


JOB = ImageJob.model_validate(
    {
        "source": "in/photo.png",
        "operations": [{"type": "resize", "width": 60}, {"type": "flip", "axis": "vertical"}],
    }
)


def step(number: int, picture: Picture | None = None) -> ImageStep:
    """Return one of the two steps of ``JOB``."""
    planned = plan(JOB)[number]
    source = None if picture else "in/photo.png"
    return ImageStep(
        name=planned.name,
        source=source,
        picture=picture,
        branches=planned.branches,
        last=number == 1,
    )


async def apply(
    environment: ActivityEnvironment, steps: ImageActivities, *args: ImageStep
) -> StepOutcome:
    outcome = await environment.run(steps.apply, *args)
    assert isinstance(outcome, StepOutcome)
    return outcome


async def test_a_repeated_step_stores_the_same_names_again(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    first = await apply(environment, steps, step(0))
    before = await keys(steps)
    again = await apply(environment, steps, step(0))
    assert again.outcomes == first.outcomes
    assert await keys(steps) == before
    assert len(before) == 2


async def test_the_last_step_clears_and_its_repetition_says_what_is_lost(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    kept = (await apply(environment, steps, step(0))).outcomes[0].picture
    assert kept is not None
    made = (await apply(environment, steps, step(1, kept))).outcomes[0].file
    assert made is not None
    assert await keys(steps) == ["in/photo.png", made.key]
    with pytest.raises(IntermediateLost):
        await apply(environment, steps, step(1, kept))


async def test_names_depend_on_what_makes_the_pixels(
    environment: ActivityEnvironment, steps: ImageActivities, pool: ImagePool
) -> None:
    one = (await apply(environment, steps, step(0))).outcomes[0].picture
    newer = replace(steps, engine=LimitWatcher(pool))
    two = (await apply(environment, newer, step(0))).outcomes[0].picture
    assert one is not None
    assert two is not None
    assert one.key != two.key


async def test_the_engines_limit_ends_before_temporals(
    environment: ActivityEnvironment, steps: ImageActivities, pool: ImagePool
) -> None:
    watcher = LimitWatcher(pool)
    started = datetime.now(UTC) - timedelta(seconds=30)
    environment.info = replace(environment.info, started_time=started)
    await apply(environment, replace(steps, engine=watcher), step(0))
    assert watcher.limits[0] <= timedelta(seconds=25)


async def test_a_step_beats_with_what_is_done(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    beats = []

    def beat(progress: Progress, _: str) -> None:
        beats.append(progress)

    environment.on_heartbeat = beat
    await apply(environment, steps, step(0))
    assert beats[0].step == "resize"
    assert all(each.total == 4 and each.done <= 4 for each in beats)


async def test_a_storage_that_is_away_is_transient_and_leaves_no_local_file(
    environment: ActivityEnvironment, steps: ImageActivities, tmp_path: Path
) -> None:
    assert isinstance(steps.storage, Storage)
    broken = replace(steps, storage=Away(steps.storage))
    with pytest.raises(StorageUnavailable) as caught:
        await apply(environment, broken, step(0))
    assert not caught.value.non_retryable
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(("remote", "error"), [(False, SourceMissing), (True, SourceNotVisible)])
async def test_a_missing_source_is_final_unless_the_storage_is_remote(
    environment: ActivityEnvironment, steps: ImageActivities, remote: bool, error: type[Exception]
) -> None:
    await steps.storage.delete("in/photo.png")
    with pytest.raises(error):
        await apply(environment, replace(steps, remote_storage=remote), step(0))


async def test_a_file_over_the_limit_is_not_read(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    with pytest.raises(FileTooBig, match="the 100 bytes"):
        await apply(environment, replace(steps, max_bytes=100), step(0))


async def test_abandoning_removes_everything_but_the_source_and_can_be_repeated(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    kept = (await apply(environment, steps, step(0))).outcomes[0].picture
    made = (await apply(environment, steps, step(1, kept))).outcomes[0].file
    assert made is not None
    await apply(environment, steps, step(0))
    undo = Abandonment(image_id="cat", error="Cancelled", files=[made])
    await environment.run(steps.abandon, undo)
    await environment.run(steps.abandon, undo)
    assert await keys(steps) == ["in/photo.png"]
    assert isinstance(steps.catalog, Events)
    assert steps.catalog.said == ["fail cat test Cancelled"] * 2


async def test_a_worker_sweeps_once_an_hour_and_a_failing_sweep_harms_no_step(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    assert isinstance(steps.storage, Storage)
    unlisted = replace(steps, storage=Unlisted(steps.storage), broom=Broom())
    await apply(environment, unlisted, step(0))
    await apply(environment, unlisted, step(0))
    assert isinstance(unlisted.storage, Unlisted)
    assert unlisted.storage.asked == 1


async def test_the_sweep_deletes_only_pictures_that_no_job_can_need(
    environment: ActivityEnvironment, steps: ImageActivities
) -> None:
    await apply(environment, steps, step(0))
    assert await steps.sweep() == 0
    assert await steps.sweep(datetime.now(UTC) + timedelta(hours=25)) == 1
    assert await keys(steps) == ["in/photo.png"]

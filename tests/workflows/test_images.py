"""Image jobs from submission to files, through real children, on a real Temporal server."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image, ImageChops
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.worker import Worker
from typing_extensions import override

from activities.images import ImageActivities
from adapters.imaging.pool import ImagePool
from adapters.imaging.scratch import Scratch
from adapters.storage import Storage
from jobs.attributes import JOB_OWNER
from jobs.files import StoredObject
from jobs.images import ImageFile, ImageJob, ImageResult
from jobs.images.errors import DecoderCrash, ImageNotFound
from jobs.images.steps import ImageWork, WorkDone
from jobs.status import Progress
from tests.bad_pictures import BAD_FILES, PIXELS
from tests.darkroom import encoded, scan_bomb
from workflows.images import ProcessImageWorkflow
from workflows.sandbox import RUNNER


@dataclass
class OwnedImages:
    """A catalogue of one picture, ``cat``, of the owner ada."""

    events: list[str] = field(default_factory=list)

    async def claim(self, image_id: str, owner: str | None, job_id: str) -> str:
        if image_id != "cat" or owner not in {None, "ada"}:
            raise ImageNotFound("image_id: no such picture")
        self.events.append("processing")
        return "in/photo.jpg"

    async def complete(self, image_id: str, job_id: str, files: Sequence[ImageFile]) -> None:
        self.events.append(f"processed {[file.name for file in files]}")

    async def fail(self, image_id: str, job_id: str, error: str) -> None:
        self.events.append(f"failed {error}")


@dataclass
class FailingOnce:
    """An engine that fails once, at the step that begins with one kind of operation."""

    pool: ImagePool
    at: str
    error: Exception
    ran: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return self.pool.fingerprint

    async def run(self, work: ImageWork, limit: timedelta) -> WorkDone:
        changes = work.branches[0].changes
        name = changes[0].type if changes else ""
        self.ran.append(name)
        if name == self.at and self.ran.count(name) == 1:
            raise self.error
        return await self.pool.run(work, limit)


@dataclass
class NeverDone:
    """An engine whose steps end only by being cut, or by a failure."""

    pool: ImagePool

    @property
    def fingerprint(self) -> str:
        return self.pool.fingerprint

    async def run(self, work: ImageWork, limit: timedelta) -> WorkDone:
        done = await self.pool.run(work, limit)
        await asyncio.Event().wait()
        return done


class ForgetfulStorage(Storage):
    """Loses the first picture between two steps that is asked for."""

    def __init__(self, storage: Storage) -> None:
        self.__dict__ = storage.__dict__
        self.lost = 0

    @override
    async def fetch(self, key: str, path: Path, *, limit: int | None = None) -> StoredObject:
        if key.startswith("work/") and self.lost == 0:
            self.lost += 1
            await self.delete(key)
        return await super().fetch(key, path, limit=limit)


@cache
def slow_picture() -> bytes:
    """Return a file of few bytes that takes seconds to decode, and may."""
    return scan_bomb(7000, 7000, 88)


@dataclass
class Studio:
    """A worker for image jobs, and the storage that it works on."""

    client: Client
    name: str
    storage: Storage
    scratch: Path
    catalog: OwnedImages
    pool: ImagePool
    steps: ImageActivities
    queue: str = ""
    job_id: str = ""

    @asynccontextmanager
    async def worker(self, queue: str = "") -> AsyncIterator[None]:
        """Run a worker on a queue, by default its own; jobs started in the body go there."""
        self.queue = queue or f"{self.name}-{uuid4().hex[:6]}"
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[ProcessImageWorkflow],
            activities=self.steps.all(),
            workflow_runner=RUNNER,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        ):
            yield

    @asynccontextmanager
    async def slow_worker(self, step_limit: timedelta) -> AsyncIterator[None]:
        """Run a worker that decodes ``in/slow.jpg`` for seconds, if ``step_limit`` lets it.

        It ends no step: each is under way until it is cut, however slow the machine that looks.
        """
        pool = ImagePool(processes=1, step_limit=step_limit)
        await pool.warm()
        self.steps = replace(self.steps, engine=NeverDone(pool))
        await self.put("in/slow.jpg", slow_picture())
        try:
            async with self.worker():
                yield
        finally:
            await pool.close()

    async def until_decoding(self) -> None:
        """Return when a step works on local files."""
        while True:
            if self.scratch_files():
                return
            await asyncio.sleep(0.05)

    async def put(self, key: str, data: bytes) -> None:
        await self.storage.put(key, data)

    async def start(
        self, owner: str | None = None, **fields: Any
    ) -> WorkflowHandle[ProcessImageWorkflow, ImageResult]:
        self.job_id = f"image-{uuid4().hex[:12]}"
        pairs = [] if owner is None else [SearchAttributePair(JOB_OWNER, owner)]
        return await self.client.start_workflow(
            ProcessImageWorkflow.run,
            ImageJob.model_validate(fields, extra="forbid"),
            id=self.job_id,
            task_queue=self.queue,
            search_attributes=TypedSearchAttributes(pairs),
        )

    async def process(self, owner: str | None = None, **fields: Any) -> ImageResult:
        return await (await self.start(owner, **fields)).result()

    async def failure(self, owner: str | None = None, **fields: Any) -> ApplicationError:
        """Run a job that fails, and return what failed its step."""
        with pytest.raises(WorkflowFailureError) as caught:
            await self.process(owner, **fields)
        assert isinstance(caught.value.cause, ActivityError)
        assert isinstance(caught.value.cause.cause, ApplicationError)
        return caught.value.cause.cause

    async def attempts(self) -> list[tuple[str, int]]:
        """Return the last job's steps and the attempt that ended each."""
        names: dict[int, str] = {}
        found = []
        async for event in self.client.get_workflow_handle(self.job_id).fetch_history_events():
            if event.HasField("activity_task_scheduled_event_attributes"):
                scheduled = event.activity_task_scheduled_event_attributes
                names[event.event_id] = scheduled.activity_type.name
            if event.HasField("activity_task_started_event_attributes"):
                started = event.activity_task_started_event_attributes
                found.append((names[started.scheduled_event_id], started.attempt))
        return found

    async def open(self, key: str) -> Image.Image:
        return Image.open(io.BytesIO(await self.storage.get(key)))

    async def keys(self) -> list[str]:
        return sorted([found.key async for found in self.storage.list("")])

    def scratch_files(self) -> list[Path]:
        return [path for path in self.scratch.glob("**/*") if path.is_file()]


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ImagePool]:
    pool = ImagePool(max_pixels=PIXELS)
    await pool.warm()
    yield pool
    await pool.close()


@pytest.fixture
async def studio(
    client: Client, pool: ImagePool, unique: str, tmp_path: Path
) -> AsyncIterator[Studio]:
    storage, catalog, scratch = Storage.open("memory:"), OwnedImages(), tmp_path / "scratch"
    steps = ImageActivities(storage=storage, engine=pool, scratch=Scratch(scratch), catalog=catalog)
    studio = Studio(client, unique, storage, scratch, catalog, pool, steps)
    async with studio.worker():
        yield studio


def photo(width: int = 1200, height: int = 900) -> Image.Image:
    """Return a picture with a gradient and a red left top corner."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((200, 20, 20), (0, 0, width // 4, height // 4))
    return image


DEMO: list[dict[str, Any]] = [
    {"type": "resize", "width": 800},
    {"type": "compress", "quality": 80},
    {"type": "watermark", "text": "© Ada"},
]
RESIZE = DEMO[0]


async def test_resize_compress_and_watermark_make_one_file(studio: Studio) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG", quality=95))
    result = await studio.process(source="in/photo.jpg", operations=DEMO)
    (file,) = result.files
    made = await studio.open(file.key)
    assert (file.width, file.height, file.format) == (*made.size, "jpeg") == (800, 600, "jpeg")
    assert file.quality_used == 80
    assert file.bytes == len(await studio.storage.get(file.key))
    assert [step.name for step in result.steps] == ["resize", "watermark", "compress"]
    plain = photo().resize((800, 600))
    changed = ImageChops.difference(made, plain).convert("L").point(lambda v: 255 * (v > 40))
    left, top, *_ = changed.getbbox() or (0, 0, 0, 0)
    assert left > 500
    assert top > 500
    assert result.saved_percent > 0
    assert result.source.format == "jpeg"


async def test_only_source_and_results_are_left(studio: Studio) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    result = await studio.process(source="in/photo.jpg", operations=DEMO)
    assert await studio.keys() == sorted(["in/photo.jpg", result.files[0].key])
    assert studio.scratch_files() == []


async def test_variants_come_from_one_decode_in_their_own_formats(studio: Studio) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    result = await studio.process(
        source="in/photo.jpg",
        operations=[RESIZE, {"type": "watermark", "text": "© Ada", "opacity": 1}],
        variants=[
            {"name": "webp", "output": {"format": "webp"}},
            {"name": "avif", "output": {"format": "avif"}},
            {"name": "thumb", "start": "source", "operations": [
                {"type": "resize", "width": 96, "height": 96, "fit": "cover"}]},
            {"name": "gray", "operations": [
                {"type": "grayscale"}, {"type": "resize", "width": 99}]},
            {"name": "whole", "start": "source", "operations": [{"type": "flip",
                "axis": "vertical"}], "output": {"format": "png"}},
        ],
    )  # fmt: skip
    made = {file.name: (file.format, file.width, file.height) for file in result.files}
    assert made == {
        "main": ("jpeg", 800, 600),
        "webp": ("webp", 800, 600),
        "avif": ("avif", 800, 600),
        "thumb": ("jpeg", 96, 96),
        "gray": ("jpeg", 99, 74),
        "whole": ("png", 1200, 900),
    }
    for file in result.files:
        assert (await studio.open(file.key)).size == (file.width, file.height)
    assert await studio.keys() == sorted(["in/photo.jpg", *(file.key for file in result.files)])


async def test_a_source_variant_is_free_of_what_was_drawn_on_the_main_picture(
    studio: Studio,
) -> None:
    plain = Image.new("RGB", (300, 200), (90, 120, 90))
    await studio.put("in/plain.png", encoded(plain))
    result = await studio.process(
        source="in/plain.png",
        operations=[{"type": "watermark", "text": "DRAFT", "position": "tile"}],
        variants=[{"name": "clean", "start": "source"}],
    )
    clean = next(file for file in result.files if file.name == "clean")
    assert (await studio.open(clean.key)).convert("RGB").tobytes() == plain.tobytes()


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_fails_its_job_at_the_first_attempt_and_leaves_nothing(
    studio: Studio, name: str
) -> None:
    make, code, message = BAD_FILES[name]
    await studio.put("in/file", make())
    failure = await studio.failure(source="in/file", operations=DEMO)
    assert failure.type == code
    assert message in failure.message
    assert failure.non_retryable
    assert await studio.attempts() == [("images.apply", 1), ("images.abandon", 1)]
    assert await studio.keys() == ["in/file"]
    assert studio.scratch_files() == []


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([RESIZE, {"type": "crop", "left": 700, "top": 0, "width": 200, "height": 9}],
         "BadOperation"),
        ([{"type": "watermark", "text": "東京"}], "GlyphMissing"),
        ([{"type": "watermark", "image": "in/none.png"}], "WatermarkMissing"),
        ([RESIZE, {"type": "compress", "max_bytes": 200, "allow_downscale": False}],
         "TargetSizeUnreachable"),
        ([{"type": "resize", "width": 16383, "height": 1, "fit": "fill", "enlarge": True},
          {"type": "rotate", "angle": 90}, {"type": "resize", "height": 16383, "width": 2,
          "fit": "contain"}, {"type": "crop", "left": 1, "top": 0, "width": 2, "height": 1}],
         "BadOperation"),
    ],
)  # fmt: skip
async def test_what_can_not_be_done_with_this_picture_fails_at_the_first_attempt(
    studio: Studio, operations: list[dict[str, Any]], code: str
) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    failure = await studio.failure(source="in/photo.jpg", operations=operations)
    assert failure.type == code
    assert all(attempt == 1 for _, attempt in await studio.attempts())
    assert await studio.keys() == ["in/photo.jpg"]


async def test_a_source_that_is_missing_or_too_big_is_named(studio: Studio) -> None:
    failure = await studio.failure(source="in/none.jpg", operations=DEMO)
    assert failure.type == "SourceMissing"
    await studio.put("in/big.jpg", bytes(30_000_001))
    failure = await studio.failure(source="in/big.jpg", operations=DEMO)
    assert failure.type == "FileTooBig"
    assert "30,000,000 bytes" in failure.message


async def test_the_worker_serves_the_next_job_after_every_kind_of_refusal(studio: Studio) -> None:
    for name in ("half JPEG", "PNG bomb", "JPEG of 111 scans"):
        await studio.put("in/file", BAD_FILES[name][0]())
        await studio.failure(source="in/file", operations=DEMO)
    await studio.put("in/file", encoded(photo(), "JPEG"))
    assert (await studio.process(source="in/file", operations=DEMO)).files


async def test_a_crash_repeats_only_the_step_it_hit(studio: Studio) -> None:
    engine = FailingOnce(studio.pool, at="watermark", error=DecoderCrash("died"))
    studio.steps = replace(studio.steps, engine=engine)
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    async with studio.worker():
        await studio.process(source="in/photo.jpg", operations=DEMO)
    assert engine.ran == ["resize", "watermark", "watermark", ""]


async def test_a_decode_that_takes_too_long_twice_fails_with_its_name(studio: Studio) -> None:
    async with studio.slow_worker(timedelta(seconds=0.1)):
        failure = await studio.failure(source="in/slow.jpg", operations=DEMO)
    assert failure.type == "DecoderTimeout"
    assert ("images.apply", 2) in await studio.attempts()
    assert await studio.keys() == ["in/slow.jpg"]


async def test_a_job_whose_intermediate_got_lost_begins_again_to_the_same_files(
    studio: Studio, tmp_path: Path
) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    lossy = ForgetfulStorage(studio.storage)
    nothing_kept = Scratch(tmp_path / "none", max_bytes=0)
    studio.steps = replace(studio.steps, storage=lossy, scratch=nothing_kept)
    async with studio.worker():
        result = await studio.process(source="in/photo.jpg", operations=DEMO)
    assert lossy.lost == 1
    assert await studio.keys() == sorted(["in/photo.jpg", result.files[0].key])


async def test_another_worker_goes_on_without_the_first_ones_disk(
    studio: Studio, tmp_path: Path
) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    here = await studio.process(source="in/photo.jpg", operations=DEMO)
    studio.steps = replace(studio.steps, scratch=Scratch(tmp_path / "none", max_bytes=0))
    async with studio.worker():
        there = await studio.process(source="in/photo.jpg", operations=DEMO)
    assert here.files[0].sha256 == there.files[0].sha256


async def test_a_cancelled_job_stops_its_decode_and_leaves_nothing(studio: Studio) -> None:
    async with studio.slow_worker(timedelta(seconds=30)):
        handle = await studio.start(source="in/slow.jpg", operations=DEMO)
        await studio.until_decoding()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert await studio.keys() == ["in/slow.jpg"]
    assert studio.scratch_files() == []


@pytest.mark.slow
async def test_a_step_cut_by_a_shutdown_goes_to_the_next_worker_uncounted(studio: Studio) -> None:
    async with studio.slow_worker(timedelta(seconds=30)):
        handle = await studio.start(source="in/slow.jpg", operations=DEMO)
        queue = studio.queue
        await studio.until_decoding()
    assert studio.scratch_files() == []
    await studio.put("in/slow.jpg", encoded(photo(), "JPEG"))  # quick from here on
    studio.steps = replace(studio.steps, engine=studio.pool)
    async with studio.worker(queue):
        result = await handle.result()
    assert result.files[0].width == 800
    assert all(attempt == 1 for _, attempt in await studio.attempts())


async def test_a_catalogue_picture_goes_from_processing_to_processed(studio: Studio) -> None:
    await studio.put("in/photo.jpg", encoded(photo(), "JPEG"))
    await studio.process("ada", image_id="cat", operations=DEMO)
    assert studio.catalog.events == ["processing", "processed ['main']"]


async def test_a_catalogue_picture_that_fails_is_recorded_with_its_error(studio: Studio) -> None:
    await studio.put("in/photo.jpg", b"<html>")
    failure = await studio.failure("ada", image_id="cat", operations=DEMO)
    assert failure.type == "NotAnImage"
    assert studio.catalog.events == ["processing", "failed NotAnImage"]


@pytest.mark.parametrize(("owner", "image_id"), [("eve", "cat"), ("ada", "dog")])
async def test_a_foreign_picture_is_as_unknown_as_one_that_is_not_there(
    studio: Studio, owner: str, image_id: str
) -> None:
    failure = await studio.failure(owner, image_id=image_id, operations=DEMO)
    assert failure.type == "ImageNotFound"
    assert failure.message == "image_id: no such picture"


async def test_progress_tells_the_place_and_the_operation(studio: Studio) -> None:
    async with studio.slow_worker(timedelta(seconds=30)):
        handle = await studio.start(source="in/slow.jpg", operations=DEMO)
        seen: list[Progress] = []
        while not seen:
            for pending in (await handle.describe()).raw_description.pending_activities:
                assert pending.activity_id == "1of3"
                payloads = pending.heartbeat_details.payloads
                if payloads:
                    seen += await studio.client.data_converter.decode(payloads, [Progress])
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (seen[0].step, seen[0].total) == ("resize", 4)

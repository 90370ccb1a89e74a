"""Image jobs from submission to files, through real children, on a real Temporal server."""

import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from activities.images import ImageActivities
from adapters.imaging.pool import ImagePool
from adapters.imaging.scratch import Scratch
from adapters.storage import Storage
from jobs.attributes import JOB_OWNER
from jobs.images import ImageFile, ImageJob, ImageResult
from jobs.images.errors import ImageNotFound
from tests.conftest import RUNNER
from workflows.images import ProcessImageWorkflow


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
class Studio:
    """A worker for image jobs, and the storage that it works on."""

    client: Client
    queue: str
    storage: Storage
    scratch: Path
    catalog: OwnedImages

    async def put(self, key: str, image: Image.Image, kind: str = "JPEG", **options: Any) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        await self.storage.put(key, buffer.getvalue())

    async def start(
        self, owner: str | None = None, **fields: Any
    ) -> WorkflowHandle[ProcessImageWorkflow, ImageResult]:
        pairs = [] if owner is None else [SearchAttributePair(JOB_OWNER, owner)]
        return await self.client.start_workflow(
            ProcessImageWorkflow.run,
            ImageJob.model_validate(fields, extra="forbid"),
            id=f"image-{self.queue}",
            task_queue=self.queue,
            search_attributes=TypedSearchAttributes(pairs),
        )

    async def process(self, owner: str | None = None, **fields: Any) -> ImageResult:
        return await (await self.start(owner, **fields)).result()

    async def failure(self, owner: str | None = None, **fields: Any) -> ApplicationError:
        with pytest.raises(WorkflowFailureError) as caught:
            await self.process(owner, **fields)
        assert isinstance(caught.value.cause, ActivityError)
        assert isinstance(caught.value.cause.cause, ApplicationError)
        return caught.value.cause.cause

    async def open(self, key: str) -> Image.Image:
        return Image.open(io.BytesIO(await self.storage.get(key)))

    async def keys(self) -> list[str]:
        return sorted([found.key async for found in self.storage.list("")])


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ImagePool]:
    pool = ImagePool(step_limit=timedelta(seconds=20))
    await pool.warm()
    yield pool
    await pool.close()


@pytest.fixture
async def studio(
    client: Client, pool: ImagePool, unique: str, tmp_path: Path
) -> AsyncIterator[Studio]:
    storage, catalog = Storage.open("memory:"), OwnedImages()
    steps = ImageActivities(
        storage=storage, engine=pool, scratch=Scratch(tmp_path), catalog=catalog
    )
    async with Worker(
        client,
        task_queue=unique,
        workflows=[ProcessImageWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        yield Studio(client, unique, storage, tmp_path, catalog)


def photo(width: int = 1200, height: int = 900) -> Image.Image:
    """Return a picture with a gradient and a red left top corner."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((200, 20, 20), (0, 0, width // 4, height // 4))
    return image


DEMO = [
    {"type": "resize", "width": 800},
    {"type": "compress", "quality": 80},
    {"type": "watermark", "text": "© Ada"},
]


async def test_resize_compress_and_watermark_make_one_file(studio: Studio) -> None:
    await studio.put("in/photo.jpg", photo(), quality=95)
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

"""The catalogue of images, on both databases."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from adapters.database import Database
from adapters.database.images import Images
from jobs.images import ImageFile
from jobs.images.errors import ImageNotFound
from jobs.images.records import ImageRecord, ImageStatus

MADE = ImageFile(
    name="main",
    key="jobs/image-1/main-abc.jpg",
    width=8,
    height=6,
    format="jpeg",
    bytes=99,
    sha256="ab" * 32,
    mime="image/jpeg",
    has_alpha=False,
    quality_used=82,
)


def record(image_id: str = "cat", owner: str = "ada") -> ImageRecord:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    return ImageRecord(
        id=image_id,
        owner=owner,
        source="uploads/cat.jpg",
        file_name="my cat.jpg",
        bytes=1234,
        sha256="cd" * 32,
        created_at=now,
        updated_at=now,
    )


@dataclass(frozen=True)
class Catalog(Images):
    async def status(self, image_id: str = "cat") -> tuple[ImageStatus, str | None, str | None]:
        found = await self.find(image_id)
        assert found is not None
        return found.status, found.job_id, found.error


@pytest.fixture
async def catalog(database: Database) -> Catalog:
    catalog = Catalog(database)
    await catalog.add(record())
    return catalog


async def test_a_record_comes_back_as_it_was_and_only_to_its_owner(catalog: Catalog) -> None:
    assert await catalog.find("cat") == await catalog.find("cat", "ada") == record()
    assert await catalog.find("cat", "eve") is None
    assert await catalog.find("dog") is None


async def test_adding_again_changes_nothing(catalog: Catalog) -> None:
    await catalog.claim("cat", "ada", "image-1")
    await catalog.add(record())
    assert await catalog.status() == (ImageStatus.PROCESSING, "image-1", None)


async def test_a_picture_goes_from_pending_over_processing_to_processed(catalog: Catalog) -> None:
    assert await catalog.status() == (ImageStatus.PENDING, None, None)
    assert await catalog.claim("cat", "ada", "image-1") == "uploads/cat.jpg"
    assert await catalog.status() == (ImageStatus.PROCESSING, "image-1", None)
    await catalog.complete("cat", "image-1", [MADE])
    await catalog.complete("cat", "image-1", [MADE])
    found = await catalog.find("cat", "ada")
    assert found is not None
    assert (found.status, found.files) == (ImageStatus.PROCESSED, [MADE])
    assert found.updated_at > found.created_at


async def test_a_failure_is_recorded_and_a_new_job_clears_it(catalog: Catalog) -> None:
    await catalog.claim("cat", "ada", "image-1")
    await catalog.fail("cat", "image-1", "Truncated")
    assert await catalog.status() == (ImageStatus.FAILED, "image-1", "Truncated")
    await catalog.claim("cat", "ada", "image-2")
    assert await catalog.status() == (ImageStatus.PROCESSING, "image-2", None)


async def test_the_end_of_a_job_that_lost_its_claim_changes_nothing(catalog: Catalog) -> None:
    await catalog.claim("cat", "ada", "image-1")
    await catalog.claim("cat", "ada", "image-2")
    await catalog.complete("cat", "image-1", [MADE])
    await catalog.fail("cat", "image-1", "Truncated")
    assert await catalog.status() == (ImageStatus.PROCESSING, "image-2", None)


@pytest.mark.parametrize(("image_id", "owner"), [("cat", "eve"), ("dog", "ada"), ("dog", None)])
async def test_a_foreign_picture_can_not_be_claimed(
    catalog: Catalog, image_id: str, owner: str | None
) -> None:
    with pytest.raises(ImageNotFound):
        await catalog.claim(image_id, owner, "image-1")
    assert await catalog.status() == (ImageStatus.PENDING, None, None)


async def test_the_operator_may_claim_every_picture(catalog: Catalog) -> None:
    assert await catalog.claim("cat", None, "image-1") == "uploads/cat.jpg"

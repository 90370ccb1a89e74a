"""The catalogue of images: who owns a picture, and how far its processing is.

A record belongs to the last job that claimed it; how an earlier one ends no longer matters to it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Row, Table, Text, func, select, update

from adapters.database.engine import Database
from adapters.database.metadata import from_micros, metadata, to_micros
from jobs.images.contract import ImageFile
from jobs.images.errors import ImageNotFound
from jobs.images.records import ImageRecord, ImageStatus

images: Final = Table(
    "images",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("job_id", Text),
    Column("files", Text, nullable=False),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_images_owner_created_at", "owner", "created_at"),
)


@dataclass(frozen=True, slots=True)
class Images:
    """The pictures in the application database."""

    database: Database

    async def add(self, record: ImageRecord) -> None:
        """Insert ``record``; one of the same id stays as it is, so repeating it changes nothing."""
        row = {
            **record.model_dump(exclude={"files", "created_at", "updated_at"}),
            "status": record.status.value,
            "files": _as_json(record.files),
            "created_at": to_micros(record.created_at),
            "updated_at": to_micros(record.updated_at),
        }
        insert = self.database.insert(images).values(row).on_conflict_do_nothing()
        async with self.database.begin() as connection:
            await connection.execute(insert)

    async def find(self, image_id: str, owner: str | None = None) -> ImageRecord | None:
        """Return the record of that id; with ``owner``, only if it is theirs."""
        query = select(images).where(images.c.id == image_id)
        if owner is not None:
            query = query.where(images.c.owner == owner)
        async with self.database.snapshot() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _as_record(row)

    async def claim(self, image_id: str, owner: str | None, job_id: str) -> str:
        """Mark a picture as being processed by ``job_id`` and return the key of its file.

        Raises:
            ImageNotFound: there is none of that id, or it is another owner's; both read the same.
        """
        statement = update(images).where(images.c.id == image_id)
        if owner is not None:
            statement = statement.where(images.c.owner == owner)
        values: dict[str, Any] = {
            "status": ImageStatus.PROCESSING.value,
            "job_id": job_id,
            "files": _as_json([]),
            "error": None,
            "updated_at": to_micros(datetime.now(UTC)),
        }
        async with self.database.begin() as connection:
            claimed = statement.values(values).returning(images.c.source)
            source: str | None = (await connection.execute(claimed)).scalar()
        if source is None:
            raise ImageNotFound("image_id: no such picture in the catalogue, or not this owner's")
        return source

    async def complete(self, image_id: str, job_id: str, files: Sequence[ImageFile]) -> None:
        """Record what the job made, unless another job has claimed the picture since."""
        await self._end(image_id, job_id, ImageStatus.PROCESSED, files=files)

    async def fail(self, image_id: str, job_id: str, error: str) -> None:
        """Record the failure's type, unless another job has claimed the picture since."""
        await self._end(image_id, job_id, ImageStatus.FAILED, error=error)

    async def made_by(self, job_id: str) -> int:
        """Return how many pictures were processed by a job last."""
        counted = select(func.count()).where(images.c.job_id == job_id)
        async with self.database.snapshot() as connection:
            return int((await connection.execute(counted)).scalar_one())

    async def forget(self, job_id: str) -> None:
        """Let the pictures that a job processed last be as if it had not; missing is fine."""
        statement = (
            update(images)
            .where(images.c.job_id == job_id)
            .values(
                status=ImageStatus.PENDING.value,
                job_id=None,
                files=_as_json([]),
                error=None,
                updated_at=to_micros(datetime.now(UTC)),
            )
        )
        async with self.database.begin() as connection:
            await connection.execute(statement)

    async def _end(
        self,
        image_id: str,
        job_id: str,
        status: ImageStatus,
        *,
        files: Sequence[ImageFile] = (),
        error: str | None = None,
    ) -> None:
        statement = (
            update(images)
            .where(images.c.id == image_id, images.c.job_id == job_id)
            .values(
                status=status.value,
                files=_as_json(files),
                error=error,
                updated_at=to_micros(datetime.now(UTC)),
            )
        )
        async with self.database.begin() as connection:
            await connection.execute(statement)


def _as_json(files: Sequence[ImageFile]) -> str:
    return json.dumps([file.model_dump(mode="json") for file in files])


def _as_record(row: Row[Any]) -> ImageRecord:
    return ImageRecord.model_validate(
        {
            **row._mapping,
            "files": json.loads(row.files),
            "created_at": from_micros(row.created_at),
            "updated_at": from_micros(row.updated_at),
        }
    )

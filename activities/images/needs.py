"""What the image steps need from outside."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from jobs.files import StoredObject
from jobs.images.contract import ImageFile
from jobs.images.steps import ImageWork, WorkDone


class ImageStorage(Protocol):
    """What these steps need from the object storage."""

    async def fetch(self, key: str, path: Path, *, limit: int | None = None) -> StoredObject:
        """Copy an object to a local file.

        Raises:
            ObjectNotFound: there is none.
            ObjectTooLarge: it has more than ``limit`` bytes.
        """
        ...

    async def put_file(self, key: str, path: Path, *, create: bool = False) -> StoredObject:
        """Store a local file; with ``create`` an object that is there is left alone."""
        ...

    def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """List objects."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; it may be missing."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Delete all objects whose key begins so."""
        ...


class ImageEngine(Protocol):
    """What decodes, changes and encodes."""

    @property
    def fingerprint(self) -> str:
        """What the same step's pixels depend on, besides its input."""
        ...

    async def run(self, work: ImageWork, limit: timedelta) -> WorkDone:
        """Do ``work`` on local files; cancelling this stops it."""
        ...


class Scratch(Protocol):
    """The worker's local folder."""

    def room(self) -> AbstractContextManager[Path]:
        """Give an empty folder for the time of a step."""
        ...

    def find(self, key: str) -> Path | None:
        """Return what an earlier step has kept here."""
        ...

    def keep(self, key: str, path: Path) -> None:
        """Take the file at ``path`` for a later step."""
        ...

    def forget(self, prefix: str) -> None:
        """Delete what was kept."""
        ...


class ImageCatalog(Protocol):
    """The application's record of its pictures."""

    async def claim(self, image_id: str, owner: str | None, job_id: str) -> str:
        """Mark a picture as being processed by a job and return the key of its file.

        Raises:
            ImageNotFound: there is none, or it belongs to another owner.
        """
        ...

    async def complete(self, image_id: str, job_id: str, files: Sequence[ImageFile]) -> None:
        """Record the files made; no effect if another job has claimed the picture since."""
        ...

    async def fail(self, image_id: str, job_id: str, error: str) -> None:
        """Record the failure; no effect if another job has claimed the picture since."""
        ...

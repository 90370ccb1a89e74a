"""The catalogue's record of a picture."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from jobs.base import Contract, Identifier, Personal, StoredFile
from jobs.images.contract import ImageFile


class ImageStatus(StrEnum):
    """Where a picture of the catalogue is."""

    PENDING = "pending"
    """Stored, and no job has taken it up."""
    PROCESSING = "processing"
    PROCESSED = "processed"
    FAILED = "failed"


class ImageRecord(Contract):
    """One picture of the catalogue."""

    id: Identifier
    owner: str
    source: StoredFile
    """Key of the file as it was uploaded."""
    file_name: Annotated[str, Personal] = ""
    """As the uploader called it."""
    bytes: int
    sha256: str
    status: ImageStatus = ImageStatus.PENDING
    job_id: str | None = None
    """The last job that took it up."""
    files: list[ImageFile] = Field(default_factory=list)
    """What that job made."""
    error: str | None = None
    """Type of that job's failure."""
    created_at: AwareDatetime
    updated_at: AwareDatetime

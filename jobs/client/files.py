"""What a submission may say of stored files: that they are there, and not too large together."""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from jobs.access import stored_files
from jobs.base import Contract, JobKind
from jobs.errors import JobError, Problem
from jobs.files import StoredObject
from jobs.validation import schema_of

logger: Final = logging.getLogger(__name__)


class StoredFiles(Protocol):
    """Storage, as far as a door looks into it."""

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of an object without reading it, or None if it isn't there."""


async def problems(
    kind: JobKind[Any, Any], job: Contract, open_files: Callable[[], StoredFiles]
) -> list[Problem]:
    """Return what is wrong with the stored files that an input names.

    A store that is away proves nothing: the step that reads the file says what is wrong then.
    """
    named = [*stored_files(schema_of(type(job)), job.model_dump(mode="json"))]
    if not named:
        return []
    try:
        files = open_files()
        found = [(path, await files.stat(key)) for path, key in named]
    except JobError as error:
        logger.warning("stored files were not looked at", extra={"error": error.type})
        return []
    missing = [path for path, file in found if file is None]
    if missing:
        message = "no such file in storage: upload it (`starter.py submit ... {}=@PATH` does)"
        return [Problem(path, message.format(path.partition(".")[0])) for path in missing]
    size = sum(file.size for _, file in found if file is not None)
    if kind.max_files_bytes is not None and size > kind.max_files_bytes:
        message = f"{size:,} bytes in all, {kind.max_files_bytes:,} are allowed: send a link"
        return [Problem(found[0][0].partition(".")[0], message)]
    return []

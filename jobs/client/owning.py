"""What an owner may submit: kinds, keys and stored files that are theirs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from temporalio.client import Client

from jobs.access import COMMON_FILES, INTERNAL_KINDS, owned_key, stored_files, upload_prefix
from jobs.base import JobKind
from jobs.batches import BATCH, files_of_items
from jobs.client import reading
from jobs.client.batches import check_retried
from jobs.client.submission import Submission
from jobs.errors import InvalidInputError, JobNotFoundError, Problem
from jobs.files import job_of_folder
from jobs.validation import schema_of


async def owned(
    client: Client,
    kind: JobKind[Any, Any],
    data: Mapping[str, Any],
    options: Submission,
    owner: str,
) -> Submission:
    """Return the options of an owner's submission.

    Raises:
        InvalidInputError: The kind is one that only the service starts, the key can't be one,
            or the input names a stored file that is not the owner's.
    """
    if kind.name in INTERNAL_KINDS:
        problem = Problem("kind", f"jobs of kind {kind.name!r} are started by the service")
        raise InvalidInputError([problem])
    schema = schema_of(kind.input)  # type: ignore[arg-type] # a class is hashable
    named = [*stored_files(schema, data)]
    if kind.name == BATCH.name:
        named += files_of_items(data)
        await check_retried(client, data, owner)
    foreign = [path for path, key in named if not await may_read(client, key, owner)]
    if foreign:
        message = "no such file among yours: upload it, or name a file of one of your jobs"
        raise InvalidInputError([Problem(path, message) for path in foreign])
    key = owned_key(owner, options.key) if options.key is not None else None
    return replace(options, owner=owner, key=key)


async def may_read(client: Client, key: str, owner: str) -> bool:
    """Tell whether a file in storage is the owner's: an upload, or of one of their jobs."""
    if ".." in key:
        return False
    if key.startswith((*COMMON_FILES, upload_prefix(owner))):
        return True
    top, _, rest = key.partition("/")
    folder, slash, _ = rest.partition("/")
    if top != "jobs" or not slash:
        return False
    try:
        await reading.describe(client, job_of_folder(folder), owner=owner)
    except JobNotFoundError:
        return False
    return True

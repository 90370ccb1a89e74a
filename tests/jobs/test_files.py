"""Stored files that a submission names are looked at before anything starts."""

from datetime import timedelta

import pytest
from temporalio.client import Client

from adapters.storage import Storage
from jobs.client import JobClient, Submission
from jobs.emails import MAX_ATTACHMENT_BYTES
from jobs.errors import InvalidInputError, JobNotFoundError
from jobs.files import StorageUnavailable, StoredObject

MAIL = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
KEY = "uploads/terms.pdf"
LATER = timedelta(days=1)
"""No worker of another test takes such a job up."""


@pytest.fixture
def files() -> Storage:
    return Storage.open("memory:")


@pytest.fixture
def jobs(client: Client, files: Storage) -> JobClient:
    return JobClient(client, open_files=lambda: files)


async def test_a_missing_file_is_refused_by_its_place(jobs: JobClient, unique: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await jobs.submit("email", {**MAIL, "attachments": [KEY]}, Submission(key=unique))
    (problem,) = refused.value.problems
    assert problem.field == "attachments.0"
    assert "attachments=@PATH" in problem.message
    with pytest.raises(JobNotFoundError):
        await jobs.status(f"email-{unique}")


async def test_attachments_too_large_together_are_refused(jobs: JobClient, files: Storage) -> None:
    await files.put(KEY, b"x" * (MAX_ATTACHMENT_BYTES // 2 + 1))
    with pytest.raises(InvalidInputError, match="10,485,760 are allowed"):
        await jobs.submit("email", {**MAIL, "attachments": [KEY, KEY]})


async def test_a_job_is_found_again_though_its_file_is_gone(
    jobs: JobClient, files: Storage, unique: str
) -> None:
    await files.put(KEY, b"terms")
    mail, options = {**MAIL, "attachments": [KEY]}, Submission(key=unique, delay=LATER)
    assert (await jobs.submit("email", mail, options)).created
    await files.delete(KEY)
    assert not (await jobs.submit("email", mail, options)).created


class Away:
    """A store that can't be reached."""

    async def stat(self, key: str) -> StoredObject | None:
        msg = "no answer"
        raise StorageUnavailable(msg)


async def test_a_store_that_is_away_stops_no_submission(client: Client, unique: str) -> None:
    jobs = JobClient(client, open_files=Away)
    mail = {**MAIL, "attachments": [KEY]}
    assert (await jobs.submit("email", mail, Submission(key=unique, delay=LATER))).created

"""The errors of Conveyor.

Raised inside activities, seen by retry policies, the Web UI and ``status`` under their class name::

    temporalio.exceptions.ApplicationError
    └── JobError
        ├── TransientError      another attempt may mend it; ``retry_after`` says when
        │   ├── DatabaseUnavailable
        │   │   └── DatabaseFull
        │   └── DatabaseOutdated    its migrations have not been applied
        └── PermanentError      no attempt can mend it: the job fails at once
            ├── DatabaseRefused     the statement can't succeed on this data
            └── PoisonJob       the job killed its worker too often

Raised by ``JobClient`` and the doors, before or instead of a job::

    ConveyorError
    ├── InvalidInputError       names each field and the fix; nothing was started
    ├── JobNotFoundError
    ├── ScheduleNotFoundError
    ├── ConflictError           the job id is taken, or the job's state forbids the act
    ├── ServerUnreachableError
    ├── EncryptionKeyMissing    a payload can't be read here (``jobs.encryption``)
    ├── WaitTimedOutError       the job goes on
    ├── JobFailedError          asked for the result of a job that failed or timed out
    └── JobCancelledError       asked for the result of a job that was cancelled or terminated
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from typing_extensions import override


class JobError(ApplicationError):
    """A step failed. Its class name is its type in histories.

    Args:
        message: What failed, which field or peer, how to mend it; never a secret or an address.
        details: Facts for programs, JSON-serialisable.
        retry_after: When the next attempt is due, if it is known better than by the retry policy.
    """

    non_retryable_by_default = False

    def __init__(
        self,
        message: str,
        *details: Any,
        retry_after: timedelta | None = None,
        benign: bool = False,
    ) -> None:
        super().__init__(
            message,
            *details,
            type=type(self).__name__,
            non_retryable=self.non_retryable_by_default,
            next_retry_delay=retry_after,
            category=ApplicationErrorCategory.BENIGN
            if benign
            else ApplicationErrorCategory.UNSPECIFIED,
        )


class TransientError(JobError):
    """Something that another attempt may mend."""


class PermanentError(JobError):
    """Something that no attempt can mend: the step and its job fail at once."""

    non_retryable_by_default = True


class PoisonJob(PermanentError):
    """The step lost its worker too often to be tried again: look for a crash or lack of memory."""


class DatabaseUnavailable(TransientError):
    """The application database can't be reached, or is locked."""


class DatabaseFull(DatabaseUnavailable):
    """The application database has no room left: make some."""


class DatabaseOutdated(TransientError):
    """A table or column is missing: apply the migrations with ``starter.py setup``."""


class DatabaseRefused(PermanentError):
    """The database refused a statement that no repetition can make right."""


class ConveyorError(Exception):
    """Base of what ``JobClient`` raises."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where, and what to do."""

    field: str
    """Dotted path of the field, ``operations.0.width``; empty for the input as a whole."""
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidInputError(ConveyorError):
    """The input can't become a job; nothing was started."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class JobNotFoundError(ConveyorError):
    """No job of that id, or it is past its retention."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"no job {job_id!r}: never submitted, or deleted after its retention. "
            "`starter.py list` shows the jobs that are known"
        )
        self.job_id = job_id


class ScheduleNotFoundError(ConveyorError):
    """There is no schedule of that id."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(
            f"no schedule {schedule_id!r}; `starter.py schedules list` shows those there are"
        )


class ConflictError(ConveyorError):
    """The id is taken by another payload, or the job's state forbids what was asked."""


class ServerUnreachableError(ConveyorError):
    """The Temporal server can't be reached."""


class WaitTimedOutError(ConveyorError):
    """The job was not done in the time given; it goes on."""


class JobFailedError(ConveyorError):
    """The job failed or timed out; the message is its error."""


class JobCancelledError(ConveyorError):
    """The job was cancelled or terminated, so there is no result."""

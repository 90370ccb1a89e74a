"""Starting jobs: one id, one job, and a clear answer when the id is taken."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from uuid6 import uuid7

from jobs import validation
from jobs.attributes import JOB_KIND, JOB_OWNER, JOB_TAGS
from jobs.base import Contract, JobKind
from jobs.client import files
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.files import StoredFiles
from jobs.client.reading import describe, links, memo_value
from jobs.errors import (
    ConflictError,
    InvalidInputError,
    JobNotFoundError,
    Problem,
    ServerUnreachableError,
)
from jobs.status import JobProgress, JobState, JobStatus

MEMO_FINGERPRINT: Final = "fingerprint"
MAX_DELAY: Final = timedelta(days=5 * 366)
PATIENCE: Final = timedelta(seconds=60)
"""How long a submission is tried while the server is away; safe, since the id stays the same."""
RETRY_INTERVAL_S: Final = 2.0

KEY_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}")
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-@+]{0,63}")
TAG_PATTERN: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}=[A-Za-z0-9_.:\-@+/ ]{0,128}")
MAX_TAGS: Final = 20


class OnConflict(StrEnum):
    """What to do when a job of that id is there."""

    EXISTING = "existing"
    """Return it if its payload is the same; a failed, cancelled or timed out one is run anew."""
    ERROR = "error"
    """Refuse."""
    REPLACE = "replace"
    """Terminate it if it is open, and start anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How to submit, besides the kind and its input."""

    key: str | None = None
    """Makes the submission safe to repeat; the job id is ``<kind>-<key>``. Default: a UUIDv7."""
    on_conflict: OnConflict = OnConflict.EXISTING
    priority: int = 3
    """1 (first) to 5."""
    owner: str | None = None
    """Who may see the job; also the key by which queues are shared fairly."""
    tags: Mapping[str, str] = field(default_factory=dict)
    delay: timedelta | None = None
    run_at: datetime | None = None
    """Aware instant; one in the past means now."""
    deadline: timedelta | None = None
    """Replaces the kind's own."""
    retry_for: timedelta = PATIENCE

    def problems(self) -> list[Problem]:
        """Return everything wrong with these options."""
        found = []
        if self.key is not None and not KEY_PATTERN.fullmatch(self.key):
            message = (
                f"{self.key!r}: use letters, digits, '_', '-', '.' and ':', beginning with a "
                "letter or digit, at most 128 characters"
            )
            found.append(Problem("id", message))
        if not 1 <= self.priority <= 5:  # noqa: PLR2004 (the server's own five levels)
            found.append(Problem("priority", f"{self.priority}: use 1 (first) to 5 (last)"))
        if self.owner is not None and not NAME_PATTERN.fullmatch(self.owner):
            message = "use letters, digits and '_.:-@+', at most 64 characters"
            found.append(Problem("owner", message))
        if len(self.tags) > MAX_TAGS:
            found.append(Problem("tags", f"{len(self.tags)} tags, {MAX_TAGS} are allowed"))
        found += [
            Problem("tags", f"{tag!r}: write KEY=VALUE with letters, digits and '_.-'")
            for tag in (f"{name}={value}" for name, value in self.tags.items())
            if not TAG_PATTERN.fullmatch(tag)
        ]
        if self.delay is not None and self.run_at is not None:
            found.append(Problem("delay", "give a delay or a time, not both"))
        if self.run_at is not None and self.run_at.tzinfo is None:
            found.append(Problem("run_at", "needs an offset, such as 2027-01-31T09:00:00+01:00"))
        elif (wait := self.wait(datetime.now(UTC))) > MAX_DELAY:
            found.append(Problem("delay", f"{wait} is more than five years ahead"))
        if self.delay is not None and self.delay < timedelta(0):
            found.append(Problem("delay", "must not be negative"))
        if self.deadline is not None and self.deadline < timedelta(seconds=1):
            found.append(Problem("deadline", "must be at least a second"))
        return found

    def wait(self, now: datetime) -> timedelta:
        """Return how long the job is to wait before it begins."""
        if self.run_at is not None:
            return max(timedelta(0), self.run_at - now)
        return self.delay or timedelta(0)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission came to."""

    job_id: str
    run_id: str
    created: bool
    input: Contract
    wait: timedelta = timedelta(0)
    """How long a job that was made waits for its start."""


def status_when_made(
    client: Client,
    kind: JobKind[Any, Any],
    made: Submitted,
    options: Submission,
    ui_url: str | None,
) -> JobStatus:
    """Return the job that a submission has just made, without asking the server for it.

    Its times are by this machine's clock; everything else is as the server has it.
    """
    now = datetime.now(UTC)
    return JobStatus(
        id=made.job_id,
        run_id=made.run_id,
        kind=kind.name,
        state=JobState.SCHEDULED if made.wait else JobState.WAITING,
        progress=JobProgress(percent=0.0),
        owner=options.owner,
        priority=options.priority,
        tags=dict(options.tags),
        created_at=now,
        scheduled_at=now + made.wait if made.wait else None,
        links=links(client, made.job_id, ui_url),
    )


async def submit(
    client: Client,
    kind: JobKind[Any, Any],
    data: Mapping[str, Any],
    options: Submission,
    *,
    open_files: Callable[[], StoredFiles] | None = None,
) -> Submitted:
    """Start a job, or find the one that the id already names.

    Raises:
        InvalidInputError: the input or an option is wrong; nothing was started.
        ConflictError: the id is taken by another payload, or ``on_conflict`` is ``error``.
        ServerUnreachableError: the server stayed away for ``options.retry_for``.
    """
    problems = options.problems()
    try:
        job = validation.validate(kind.input, data)
    except InvalidInputError as error:
        raise InvalidInputError([*problems, *error.problems]) from None
    if problems:
        raise InvalidInputError(problems)
    wait = options.wait(datetime.now(UTC))
    if kind.due is not None and (due := kind.due(job, datetime.now(UTC))) is not None:
        wait = max(wait, due - datetime.now(UTC))
    job_id = f"{kind.name}-{options.key or uuid7()}"
    if open_files is not None and (wrong := await files.problems(kind, job, open_files)):
        await _refuse_unless_known(client, job_id, wrong)
    return await _start_patiently(client, kind, job, job_id, wait, options)


async def _refuse_unless_known(client: Client, job_id: str, wrong: list[Problem]) -> None:
    """Refuse a job for its files, unless it is there already: then they may be gone since."""
    try:
        await describe(client, job_id)
    except JobNotFoundError:
        raise InvalidInputError(wrong) from None


async def _start_patiently(
    client: Client,
    kind: JobKind[Any, Any],
    job: Contract,
    job_id: str,
    wait: timedelta,
    options: Submission,
) -> Submitted:
    give_up = asyncio.get_running_loop().time() + options.retry_for.total_seconds()
    while True:
        try:
            with translated_errors(job_id):
                return await _start(client, kind, job, job_id, wait, options)
        except ServerUnreachableError:
            if asyncio.get_running_loop().time() >= give_up:
                raise
            await asyncio.sleep(RETRY_INTERVAL_S)


async def _start(
    client: Client,
    kind: JobKind[Any, Any],
    job: Contract,
    job_id: str,
    wait: timedelta,
    options: Submission,
) -> Submitted:
    replace = options.on_conflict is OnConflict.REPLACE
    print_of_job = validation.fingerprint(job)
    try:
        handle = await client.start_workflow(
            kind.workflow,
            job,
            id=job_id,
            task_queue=kind.queue,
            execution_timeout=(options.deadline or kind.deadline) + wait,
            start_delay=wait or None,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if replace
            else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING
            if replace
            else WorkflowIDConflictPolicy.FAIL,
            memo={MEMO_FINGERPRINT: print_of_job},
            search_attributes=_attributes(kind, options),
            static_summary=kind.summarize(job),
            priority=Priority(priority_key=options.priority, fairness_key=options.owner),
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError as taken:
        return await _existing(client, taken, job, print_of_job, options)
    return Submitted(job_id, handle.result_run_id or "", created=True, input=job, wait=wait)


async def _existing(
    client: Client,
    taken: WorkflowAlreadyStartedError,
    job: Contract,
    print_of_job: str,
    options: Submission,
) -> Submitted:
    """Return the job that has the id, if it is the same job."""
    description = await describe(client, taken.workflow_id, taken.run_id or "")
    info = description.workflow_execution_info
    theirs = await memo_value(client, info, MEMO_FINGERPRINT) or "unknown"
    if options.on_conflict is OnConflict.ERROR:
        msg = f"job {taken.workflow_id!r} exists; --on-conflict existing returns it"
        raise ConflictError(msg)
    if theirs != print_of_job:
        msg = (
            f"job {taken.workflow_id!r} exists with another payload: its fingerprint is "
            f"{theirs[:16]}, this one's {print_of_job[:16]}; choose another id, or replace it "
            "with --on-conflict replace"
        )
        raise ConflictError(msg)
    return Submitted(taken.workflow_id, taken.run_id or "", created=False, input=job)


def _attributes(kind: JobKind[Any, Any], options: Submission) -> TypedSearchAttributes:
    pairs: list[SearchAttributePair[Any]] = [SearchAttributePair(JOB_KIND, kind.name)]
    if options.owner is not None:
        pairs.append(SearchAttributePair(JOB_OWNER, options.owner))
    if options.tags:
        tags = [f"{name}={value}" for name, value in options.tags.items()]
        pairs.append(SearchAttributePair(JOB_TAGS, tags))
    return TypedSearchAttributes(pairs)

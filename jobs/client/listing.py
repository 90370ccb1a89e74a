"""Lists of jobs, from the server's visibility index."""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from jobs.attributes import JOB_ERROR, JOB_KIND, JOB_OWNER, JOB_STATE, JOB_TAGS
from jobs.base import Contract
from jobs.client import reading
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.submission import NAME_PATTERN, TAG_PATTERN
from jobs.errors import InvalidInputError, JobNotFoundError, Problem
from jobs.kinds import KINDS
from jobs.status import CLOSED, HELD, JobFailure, JobState, JobStatus
from jobs.validation import nearest

MAX_PAGE: Final = 1000
ERROR_PATTERN: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
DESCRIBES_AT_ONCE: Final = 20

NOT_ITS_OWN: Final = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.INTERNAL, RPCStatusCode.UNKNOWN}
)
"""How the server refuses a page token that it has not made, by its store."""

VISIBLE_STATES: Final = {
    JobState.SCHEDULED: "ExecutionStatus = 'Running'",
    JobState.WAITING: "ExecutionStatus = 'Running'",
    JobState.RUNNING: "ExecutionStatus = 'Running'",
    JobState.RETRYING: "ExecutionStatus = 'Running'",
    JobState.HELD: f"ExecutionStatus = 'Running' AND {JOB_STATE.name} = '{HELD}'",
    JobState.PAUSED: "ExecutionStatus IN ('Paused', 'Running')",
    JobState.COMPLETED: "ExecutionStatus = 'Completed'",
    JobState.FAILED: "ExecutionStatus = 'Failed'",
    JobState.CANCELLED: "ExecutionStatus = 'Canceled'",
    JobState.TERMINATED: "ExecutionStatus = 'Terminated'",
    JobState.TIMED_OUT: "ExecutionStatus = 'TimedOut'",
}
"""What the index can tell of a state; open jobs are told apart by describing them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs; every field that is set must match."""

    kind: str | None = None
    state: JobState | None = None
    owner: str | None = None
    error: str | None = None
    """Type of the final failure."""
    tag: tuple[str, str] | None = None
    since: datetime | None = None
    """Submitted at or after this aware instant."""

    def query(self) -> str:
        """Return the visibility query. Values are of a safe alphabet, so nothing is quoted.

        Raises:
            InvalidInputError: a value can match nothing, with the nearest one.
        """
        problems = self._problems()
        if problems:
            raise InvalidInputError(problems)
        terms = [
            f"{JOB_KIND.name} = '{self.kind}'" if self.kind else f"{JOB_KIND.name} IS NOT NULL"
        ]
        if self.state is not None:
            terms.append(VISIBLE_STATES[self.state])
        else:
            terms.append("ExecutionStatus != 'ContinuedAsNew'")
        if self.owner is not None:
            terms.append(f"{JOB_OWNER.name} = '{self.owner}'")
        if self.error is not None:
            terms.append(f"{JOB_ERROR.name} = '{self.error}'")
        if self.tag is not None:
            terms.append(f"{JOB_TAGS.name} = '{self.tag[0]}={self.tag[1]}'")
        if self.since is not None:
            terms.append(f"StartTime >= '{self.since.astimezone(UTC).isoformat()}'")
        return " AND ".join(terms)

    def _problems(self) -> list[Problem]:
        found = []
        if self.kind is not None and self.kind not in KINDS:
            found.append(
                Problem("kind", f"no kind {self.kind!r}; {nearest(self.kind, list(KINDS))}")
            )
        if self.owner is not None and not NAME_PATTERN.fullmatch(self.owner):
            found.append(Problem("owner", f"{self.owner!r} can be no owner"))
        if self.error is not None and not ERROR_PATTERN.fullmatch(self.error):
            found.append(Problem("error", f"{self.error!r} can be no error type"))
        if self.tag is not None and not TAG_PATTERN.fullmatch("=".join(self.tag)):
            found.append(Problem("tag", f"{'='.join(self.tag)!r} can be no tag"))
        if self.since is not None and self.since.tzinfo is None:
            found.append(Problem("since", "needs an offset, such as 2027-01-31T09:00:00+01:00"))
        return found


class JobPage(Contract):
    """A part of a list, newest job first."""

    jobs: list[JobStatus]
    next_cursor: str | None = None


async def page(
    client: Client,
    wanted: JobFilter,
    *,
    limit: int,
    cursor: str | None,
    ui_url: str | None,
) -> JobPage:
    """Return one page of jobs, only the newest run of each id.

    Open jobs are described one by one, since the index can't tell waiting from running. A page may
    hold fewer than ``limit`` jobs and still have a next one.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInputError([Problem("limit", f"{limit}: use 1 to {MAX_PAGE}")])
    infos, token = await _page_at(client, wanted.query(), limit, cursor)
    old = await superseded(client, infos)
    gate = asyncio.Semaphore(DESCRIBES_AT_ONCE)

    async def tell(info: WorkflowExecutionInfo) -> JobStatus | None:
        state = CLOSED.get(info.status)
        if state is None or not state.final:
            async with gate:
                try:
                    return await reading.status(client, info.execution.workflow_id, ui_url=ui_url)
                except JobNotFoundError:
                    return None
        job = await reading.summary(client, info, state, ui_url)
        attributes = info.search_attributes.indexed_fields
        if JOB_ERROR.name in attributes:
            kind = await reading.decode(client, [attributes[JOB_ERROR.name]])
            error = JobFailure(type=kind, message="", retryable=False, at=job.finished_at)
            job = job.model_copy(update={"error": error})
        return job

    newest = [info for info in infos if info.execution.run_id not in old]
    told = await asyncio.gather(*(tell(info) for info in newest))
    jobs: dict[str, JobStatus] = {}
    for job in told:
        if job and wanted.state in {None, job.state}:
            jobs.setdefault(job.id, job)  # the index may come to know a new run in between
    return JobPage(
        jobs=list(jobs.values()),
        next_cursor=base64.urlsafe_b64encode(token).decode() if token else None,
    )


async def _page_at(
    client: Client, query: str, size: int, cursor: str | None
) -> tuple[Sequence[WorkflowExecutionInfo], bytes]:
    """Return the page of runs that a cursor leads to; the server refuses one it has not made."""
    try:
        return await executions(client, query, size, _token(cursor))
    except RPCError as error:
        if cursor is None or error.status not in NOT_ITS_OWN:
            raise
        problem = Problem("cursor", "use the next_cursor of an earlier answer as it is")
        raise InvalidInputError([problem]) from None


async def executions(
    client: Client, query: str, size: int, token: bytes
) -> tuple[Sequence[WorkflowExecutionInfo], bytes]:
    """Return a page of runs. Raw, since the SDK's own list raises on a paused one (1.35.0)."""
    with translated_errors():
        response = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace, page_size=size, query=query, next_page_token=token
            ),
            timeout=RPC_TIMEOUT,
        )
    return response.executions, response.next_page_token


async def every_execution(client: Client, query: str) -> AsyncIterator[WorkflowExecutionInfo]:
    """Yield every run that a query matches, newest first."""
    token = b""
    while True:
        infos, token = await executions(client, query, MAX_PAGE, token)
        for info in infos:
            yield info
        if not token:
            return


async def superseded(client: Client, infos: Sequence[WorkflowExecutionInfo]) -> set[str]:
    """Return the runs among ``infos`` that have a newer run of the same id."""
    suspects = {
        info.execution.workflow_id
        for info in infos
        if info.status in CLOSED and CLOSED[info.status] is not JobState.COMPLETED
    }
    if not suspects:
        return set()
    names = ", ".join(f"'{name}'" for name in sorted(suspects))
    runs: list[WorkflowExecutionInfo] = []
    token = b""
    while True:
        more, token = await executions(client, f"WorkflowId IN ({names})", MAX_PAGE, token)
        runs += more
        if not token:
            break
    newest: dict[str, Any] = {}
    for run in runs:
        known = newest.get(run.execution.workflow_id)
        if known is None or run.start_time.ToNanoseconds() > known.start_time.ToNanoseconds():
            newest[run.execution.workflow_id] = run
    return {
        run.execution.run_id
        for run in runs
        if run.execution.run_id != newest[run.execution.workflow_id].execution.run_id
    }


def _token(cursor: str | None) -> bytes:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True) if cursor else b""
    except (binascii.Error, ValueError):
        problem = Problem("cursor", "use the next_cursor of an earlier answer as it is")
        raise InvalidInputError([problem]) from None

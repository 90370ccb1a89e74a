"""Deleting a job with all its traces: files, ledgers, and the history of every run.

The traces go first, so that a deletion that was cut short can be repeated.
"""

from contextlib import suppress
from typing import Protocol

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs.client import listing, reading
from jobs.errors import ConflictError, JobNotFoundError
from jobs.kinds import KINDS_BY_WORKFLOW
from jobs.status import derive_state
from jobs.traces import Erased


class Traces(Protocol):
    """What is needed of storage and the application database."""

    async def erase(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        """Delete what a job left behind, with ``results`` also what the user asked for."""
        ...


async def delete(
    client: Client,
    description: DescribeWorkflowExecutionResponse,
    traces: Traces | None,
    *,
    results: bool,
) -> Erased:
    """Forget a job that has ended; return how much of it there was besides its history.

    Raises:
        ConflictError: It is still open.
    """
    info = description.workflow_execution_info
    job_id = info.execution.workflow_id
    state = derive_state(description)
    if not state.final:
        msg = f"job {job_id!r} is {state}: cancel it, and delete it when it has ended"
        raise ConflictError(msg)
    erased = Erased()
    kind = KINDS_BY_WORKFLOW.get(info.type.name)
    if traces is not None:
        name = kind.name if kind else info.type.name
        erased = await traces.erase(name, job_id, info.execution.run_id, results=results)
    await delete_history(client, info.execution)
    return erased


async def delete_history(client: Client, execution: WorkflowExecution) -> None:
    """Have the server forget every run of a job, ``execution``, the newest, last.

    Those that a retry left behind would else be shown in its place.
    """
    query = f"WorkflowId = '{execution.workflow_id}'"
    runs = [info.execution async for info in listing.every_execution(client, query)]
    older = [run for run in runs if run.run_id != execution.run_id]
    for run in [*older, execution]:
        with suppress(JobNotFoundError):
            await reading.delete(client, run)

"""Asks the server about one run of a job.

Raw, in the server's own messages; what is encrypted in them is opened where it explains something.
"""

import re
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client

from jobs.attributes import JOB_OWNER
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.failures import open_event, open_failures
from jobs.client.reading.values import decode
from jobs.errors import JobNotFoundError

JOB_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+\-]{0,255}")
"""What can be a job's id; anything else is no job, without asking the server."""
LAST_EVENTS: Final = 60
"""Enough of a history's end to find result, failure and the last attempt in one call."""


def check_id(job_id: str) -> None:
    """Raise ``JobNotFoundError`` for what can't be a job's id."""
    if not JOB_ID_PATTERN.fullmatch(job_id):
        raise JobNotFoundError(job_id)


async def describe(
    client: Client, job_id: str, run_id: str = "", *, owner: str | None = None
) -> DescribeWorkflowExecutionResponse:
    """Return the server's description of a job's newest run.

    Raw, since the SDK's own ``describe`` raises on a paused workflow (1.35.0).

    Raises:
        JobNotFoundError: there is none, or with ``owner`` it is another's; both read the same.
    """
    check_id(job_id)
    with translated_errors(job_id):
        description = await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
            ),
            timeout=RPC_TIMEOUT,
        )
    if owner is not None and await _owner(client, description) != owner:
        raise JobNotFoundError(job_id)
    await open_failures(client, (step.last_failure for step in description.pending_activities))
    return description


async def _owner(client: Client, description: DescribeWorkflowExecutionResponse) -> str | None:
    fields = description.workflow_execution_info.search_attributes.indexed_fields
    if JOB_OWNER.name not in fields:
        return None
    owner: str = await decode(client, [fields[JOB_OWNER.name]])
    return owner


async def delete(client: Client, execution: WorkflowExecution) -> None:
    """Have the server forget one run."""
    with translated_errors(execution.workflow_id):
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=client.namespace, workflow_execution=execution
            ),
            timeout=RPC_TIMEOUT,
        )


async def last_events(client: Client, job_id: str, run_id: str) -> list[HistoryEvent]:
    """Return the end of a job's history, newest first."""
    with translated_errors(job_id):
        response = await client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
                maximum_page_size=LAST_EVENTS,
            ),
            timeout=RPC_TIMEOUT,
        )
    for event in response.history.events:
        await open_event(client, event)
    return list(response.history.events)


async def first_event(client: Client, job_id: str, run_id: str) -> HistoryEvent:
    """Return the event that started a job; it holds the input."""
    with translated_errors(job_id):
        response = await client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=job_id, run_id=run_id),
                maximum_page_size=1,
            ),
            timeout=RPC_TIMEOUT,
        )
    return response.history.events[0]

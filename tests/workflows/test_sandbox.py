"""The worker runs workflows without the sandbox, so the tests must be in it."""

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from tests.workflows.clock_reading import ReadClockWorkflow
from workflows.sandbox import RUNNER


async def test_a_workflow_that_reads_the_clock_is_refused(client: Client, unique: str) -> None:
    async with Worker(
        client,
        task_queue=unique,
        workflows=[ReadClockWorkflow],
        workflow_runner=RUNNER,
        workflow_failure_exception_types=[Exception],
    ):
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(ReadClockWorkflow.run, id=unique, task_queue=unique)

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "RestrictedWorkflowAccessError"

"""What every workflow gets without knowing: its final failure is recorded, once."""

from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ApplicationError,
    FailureError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from typing_extensions import override

from activities.failures import FailureActivities
from jobs.attributes import JOB_ERROR
from jobs.failures import FinalFailure

REPORT_TIMEOUT: Final = timedelta(seconds=10)
REPORT_ATTEMPTS: Final = 3


class FinalFailureInterceptor(Interceptor):
    """Sets ``JobError`` and reports, when a job fails for good; a cancelled job has not failed."""

    @override
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    @override
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            return await super().execute_workflow(input)
        except FailureError as error:
            if not is_cancelled_exception(error):
                await _record(error)
            raise


async def _record(error: FailureError) -> None:
    info = workflow.info()
    kind = error_type(error)
    workflow.upsert_search_attributes([JOB_ERROR.value_set(kind)])
    failure = FinalFailure(
        job_id=info.workflow_id,
        run_id=info.run_id,
        workflow=info.workflow_type,
        type=kind,
        owner=info.priority.fairness_key,
    )
    try:
        await workflow.execute_local_activity_method(
            FailureActivities.report,
            failure,
            start_to_close_timeout=REPORT_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=REPORT_ATTEMPTS),
        )
    except FailureError:
        workflow.logger.exception("a final failure could not be reported")


def error_type(error: FailureError) -> str:
    """Return the type of the innermost cause that says why."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ApplicationError():
                return cause.type or "Error"
            case TimeoutError(type=TimeoutType.HEARTBEAT):
                return "WorkerLost"
            case TimeoutError():
                return "StepTimedOut"
            case _:
                cause = cause.__cause__
    return type(error).__name__

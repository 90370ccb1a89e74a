"""What is measured of every job without its knowing: outcome, duration, types of final failures.

Only a worker's own view: jobs that the server ends by itself (terminated, past their deadline) are
not seen here.
"""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from typing_extensions import override

from jobs.metrics import (
    JOB_DURATION,
    JOB_FAILURES,
    JOBS_FINISHED,
    Outcome,
    error_label,
    kind_label,
)
from workflows.interceptor import error_type


class JobMetrics(Interceptor):
    """Measures each job once, at its end; a replay measures nothing."""

    @override
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    @override
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            result = await super().execute_workflow(input)
        except (FailureError, asyncio.CancelledError) as error:
            if not is_cancelled_exception(error):
                _count_failure(error)
                _measure(Outcome.FAILED)
            elif workflow.cancellation_reason() is not None:
                # Without a reason it is the worker that forgets the job, which goes on elsewhere.
                _measure(Outcome.CANCELLED)
            raise
        _measure(Outcome.COMPLETED)
        return result


def _measure(outcome: Outcome) -> None:
    info, meter = workflow.info(), workflow.metric_meter()
    labels = {"kind": kind_label(info.workflow_type), "outcome": outcome.value}
    meter.create_counter(JOBS_FINISHED.name, JOBS_FINISHED.help).add(1, labels)
    seconds = (workflow.now() - info.start_time).total_seconds()
    duration = meter.create_histogram_float(JOB_DURATION.name, JOB_DURATION.help, JOB_DURATION.unit)
    duration.record(seconds, labels)


def _count_failure(error: BaseException) -> None:
    kind = kind_label(workflow.info().workflow_type)
    name = error_type(error) if isinstance(error, FailureError) else type(error).__name__
    counter = workflow.metric_meter().create_counter(JOB_FAILURES.name, JOB_FAILURES.help)
    counter.add(1, {"kind": kind, "error": error_label(name)})

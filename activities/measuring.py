"""What is measured of every step without its knowing: attempts, failures, the wait in the queue."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)
from typing_extensions import override

from jobs.metrics import (
    STEP_ATTEMPTS,
    STEP_FAILURES,
    STEP_WAIT,
    Outcome,
    error_label,
    kind_label,
)


class StepMetrics(Interceptor):
    """Measures each attempt of each step, local ones (which have no queue) left out."""

    def __init__(self, meter: MetricMeter) -> None:
        self.attempts = meter.create_counter(STEP_ATTEMPTS.name, STEP_ATTEMPTS.help)
        self.failures = meter.create_counter(STEP_FAILURES.name, STEP_FAILURES.help)
        self.wait = meter.create_histogram_float(STEP_WAIT.name, STEP_WAIT.help, STEP_WAIT.unit)

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, metrics: StepMetrics) -> None:
        super().__init__(next)
        self._metrics = metrics

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.is_local:
            return await super().execute_activity(input)
        kind = kind_label(info.workflow_type)
        waited = (info.started_time - info.current_attempt_scheduled_time).total_seconds()
        self._metrics.wait.record(max(waited, 0.0), {"kind": kind, "queue": info.task_queue})
        labels = {"kind": kind, "step": info.activity_type}
        outcome = Outcome.COMPLETED
        try:
            return await super().execute_activity(input)
        except (Exception, asyncio.CancelledError) as error:
            outcome = Outcome.CANCELLED if is_cancelled_exception(error) else Outcome.FAILED
            if outcome is Outcome.FAILED:
                self._metrics.failures.add(1, {**labels, "error": type_of(error)})
            raise
        finally:
            self._metrics.attempts.add(1, {**labels, "outcome": outcome.value})


def type_of(error: BaseException) -> str:
    """Return the type of an attempt's error, as retry policies and the Web UI name it."""
    named = error.type if isinstance(error, ApplicationError) else None
    return error_label(named or type(error).__name__)

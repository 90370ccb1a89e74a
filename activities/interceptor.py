"""What every activity gets without knowing: jitter between attempts.

Temporal's retry policy has no jitter, so jobs that failed together would come back together.
"""

import random
from datetime import timedelta
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)
from typing_extensions import override

from jobs.errors import TransientError

JITTER: Final = 0.1
"""Share by which a wait is made longer or shorter, at most."""


class RetryInterceptor(Interceptor):
    """Adds jitter to the wait before the next attempt of a step that failed for a while."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except TransientError as error:
            if error.next_retry_delay is not None or (wait := policy_wait()) is None:
                raise
            raise ApplicationError(
                error.message,
                *error.details,
                type=error.type,
                next_retry_delay=wait * random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311
                category=error.category,
            ) from error.__cause__


def policy_wait() -> timedelta | None:
    """Return how long the retry policy waits before the attempt after the current one."""
    info = activity.info()
    policy = info.retry_policy
    if policy is None:
        return None
    exponent = min(info.attempt - 1, 64)
    wait = policy.initial_interval * policy.backoff_coefficient**exponent
    return min(wait, policy.maximum_interval) if policy.maximum_interval else wait

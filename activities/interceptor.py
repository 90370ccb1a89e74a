"""What every activity gets without knowing: jitter, a place in the roll call, a full disk's name.

What it says of itself is remembered too, to be said again while it waits.
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

from activities.progress import remember_beats
from jobs.errors import TransientError
from jobs.files import NO_ROOM, StorageFull

JITTER: Final = 0.1
"""Share by which a wait is made longer or shorter, at most."""


class StepInterceptor(Interceptor):
    """Adds jitter to the wait before a step's next attempt, and knows which steps run.

    A step with no room for its temporary files ends with ``StorageFull``, which holds the job.
    """

    def __init__(self) -> None:
        self.running: set[str] = set()

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self.running)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, running: set[str]) -> None:
        super().__init__(next)
        self._running = running

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        name = f"{info.activity_type} of {info.workflow_id}"
        self._running.add(name)
        remember_beats()
        try:
            return await super().execute_activity(input)
        except TransientError as error:
            if error.next_retry_delay is not None or (wait := policy_wait(info)) is None:
                raise
            raise ApplicationError(
                error.message,
                *error.details,
                type=error.type,
                next_retry_delay=wait * random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311 - no secret
                category=error.category,
            ) from error.__cause__
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            msg = "the disk of the worker is full: a temporary file can't be written. Make room"
            raise StorageFull(msg) from None
        finally:
            self._running.discard(name)


def policy_wait(info: activity.Info) -> timedelta | None:
    """Return how long the retry policy waits before the attempt after the current one."""
    policy = info.retry_policy
    if policy is None:
        return None
    wait = policy.initial_interval * policy.backoff_coefficient ** min(info.attempt - 1, 64)
    return min(wait, policy.maximum_interval) if policy.maximum_interval else wait

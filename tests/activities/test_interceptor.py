"""What the interceptor of steps makes of a full disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from activities.interceptor import StepInterceptor
from jobs.files import StorageFull


class Step(ActivityInboundInterceptor):
    """The innermost interceptor: runs the step itself."""

    def __init__(self) -> None:
        """There is no other one."""

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return input.fn(*input.args)


def write_to(path: str) -> None:
    with Path(path).open("wb", buffering=0) as file:
        file.write(b"a temporary file")


async def carry_out(step: Callable[[str], None], path: str) -> None:
    """Run ``step`` as a worker does."""
    intercepted = StepInterceptor().intercept_activity(Step())
    given = ExecuteActivityInput(fn=step, args=[path], executor=None, headers={})
    await ActivityEnvironment().run(intercepted.execute_activity, given)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_step_that_finds_the_disk_full_holds_its_job() -> None:
    with pytest.raises(StorageFull, match="Make room") as caught:
        await carry_out(write_to, "/dev/full")
    assert caught.value.non_retryable


async def test_another_failure_of_the_disk_is_left_as_it_is() -> None:
    with pytest.raises(IsADirectoryError):
        await carry_out(write_to, "/")

"""Which lines of the workflows no recorded history reaches: ``python -m tests.replay.unreached``.

Each is a way that a job can take and that the replay tests don't guard: write a scenario for it.
"""

import asyncio
import inspect
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from jobs.converter import DATA_CONVERTER
from tests.replay import histories
from tests.replay.replaying import WORKFLOWS, replayed
from workflows.interceptor import FinalFailureInterceptor

FOLDER: Final = Path(__file__).parents[2] / "workflows"
NOT_OF_JOBS: Final = {"__init__.py", "measuring.py"}
"""Modules that decide nothing."""

KNOWN: Final = frozenset(
    {
        "batches.py:_cancelled",  # a batch that fails in the moment of its cancel
        "batches.py:_job",  # an item that is no input any more: only after a change of contract
        "batches.py:_side_by_side",  # a chunk that fails for good: the ledger's database is gone
        "batches.py:_start_jobs",  # a batch that pauses in the middle of a page
        "batches.py:ended_badly",  # an item's job that passes its deadline, hours
        "deliveries.py:_follow_schedule",  # the last attempt's outcome is always final
        "deliveries.py:_notify",  # two deliveries that disable an endpoint at once
        "deliveries.py:_stop",  # a cancel before the first attempt
        "deliveries.py:_try",  # a wish that comes in the moment an attempt ends
        "imports.py:_load",  # three workers lost twice, and no row in between
        "interceptor.py:_record",  # the report of a failure that fails
        "interceptor.py:error_type",  # a worker lost outside of a step
        "interceptor.py:workflow_interceptor_class",  # runs when the workflow is loaded
        "mailings.py:_send_chunk",  # fifteen workers lost in one chunk
        "places.py:_ask",  # who hands out places ends in the moment it is asked
        "places.py:_give_back",  # who handed out the place has gone
        "places.py:_hand_out",  # a job that asks again after five minutes
        "places.py:_look",  # a job that was terminated in its place: half a minute
        "places.py:_tell",  # a job that ended while it stood in the line
        "places.py:place",  # five minutes in the line
        "places.py:place_of",  # a job without a key
        "places.py:run",  # thousands of jobs with one key, and a look at who lives
    }
)
"""Functions with a line that no history reaches, and what it is for."""


class Reached:
    """Collects the lines of the workflows that are run, in threads started since."""

    def __init__(self) -> None:
        self.lines: dict[str, set[int]] = defaultdict(set)

    def watch(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Follow calls into the workflows, and nothing else."""
        del argument
        name = frame.f_code.co_filename
        if not name.startswith(str(FOLDER)):
            return None
        if event == "line":
            self.lines[name].add(frame.f_lineno)
        return self.watch


def functions_of(code: CodeType) -> Iterator[CodeType]:
    """Yield the functions in a module's code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # A class's body is not optimized; comprehensions are lines of their functions.
            if constant.co_flags & inspect.CO_OPTIMIZED and constant.co_name[0] != "<":
                yield constant
            yield from functions_of(constant)


async def replay_all() -> Mapping[str, set[int]]:
    """Replay every history and return the lines that were run, by file."""
    reached = Reached()
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=DATA_CONVERTER,
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[FinalFailureInterceptor()],
    )
    threading.settrace(reached.watch)
    try:
        for path in histories.recorded():
            await replayed(replayer, histories.load(path))
    finally:
        threading.settrace(None)
    return reached.lines


def unreached() -> Mapping[str, Sequence[str]]:
    """Return the lines that no history reaches, by file and function."""
    reached = asyncio.run(replay_all())
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.name in NOT_OF_JOBS:
            continue
        text = path.read_text()
        source = text.splitlines()
        for function in functions_of(compile(text, str(path), "exec")):
            lines = {line for _, _, line in function.co_lines() if line is not None}
            missed = sorted(lines - reached[str(path)] - {function.co_firstlineno})
            told = [f"{line}: {source[line - 1].strip()}" for line in missed]
            if told := [each for each in told if not each.endswith(('"""', "await _"))]:
                found[f"{path.name}:{function.co_name}"] = told
    return found


if __name__ == "__main__":
    for function, lines in unreached().items():
        sys.stdout.write("".join(f"{function}:{line}\n" for line in lines))

"""Replaying a recorded history with today's workflows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowReplayResult

import wiring
from jobs.converter import DATA_CONVERTER
from tests.replay import histories
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER

WORKFLOWS: Final[Sequence[type]] = [
    each
    for each in vars(wiring).values()
    if isinstance(each, type) and "__temporal_workflow_definition" in vars(each)
]
"""Every workflow that ``wiring.py`` imports, which are those that a worker runs."""
STALLED: Final = "TMPRL1101"
"""In what a worker says of a workflow that held its thread for two seconds."""
TRIES: Final = 20
WHAT_TO_DO: Final = """\
A job that {release} began could not go on with this code: it would stop with that error until it
is undone. Keep the old way for old jobs with `workflow.patched("...")` around what changed; or give
the changed workflow a new type. Where no such job can be open any more, delete the history.
docs/operate/upgrade.md, "When a workflow changes", has each in full."""


class IncompatibleChangeError(AssertionError):
    """A workflow no longer replays a history; the message says which, why and what to do."""


async def replay(path: Path, among: Sequence[type]) -> None:
    """Replay the history at ``path``.

    Raises:
        IncompatibleChangeError: Today's workflow decides otherwise than the recorded one did.
    """
    replayer = Replayer(
        workflows=among,
        data_converter=DATA_CONVERTER,
        workflow_runner=RUNNER,
        interceptors=[FinalFailureInterceptor()],
    )
    result = await replayed(replayer, histories.load(path))
    if result.replay_failure is not None:
        *_, release, kind, _ = path.parts
        msg = (
            f"workflow {kind} no longer replays history {path.relative_to(histories.FOLDER)}:\n"
            f"{result.replay_failure}\n\n{WHAT_TO_DO.format(release=f'release {release}')}"
        )
        raise IncompatibleChangeError(msg)


async def replayed(replayer: Replayer, history: WorkflowHistory) -> WorkflowReplayResult:
    """Return what a replay came to; one that a busy machine has held up is made again."""
    tries = 0
    while True:
        tries += 1
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if STALLED not in str(result.replay_failure) or tries == TRIES:
            return result

"""Jobs that an earlier release began go on with today's workflows."""

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow

from jobs import kinds
from tests.end_to_end.installation import ROOT
from tests.replay import histories
from tests.replay.changed import CarelesslyChangedWorkflow
from tests.replay.replaying import WORKFLOWS, IncompatibleChangeError, replay
from tests.replay.unreached import KNOWN, unreached

RECORDED = histories.recorded()


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(histories.FOLDER).with_suffix("")) for path in paths]


@pytest.mark.parametrize("path", RECORDED, ids=names(RECORDED))
async def test_a_job_begun_by_a_release_goes_on_with_todays_workflow(path: Path) -> None:
    await replay(path, WORKFLOWS)


def test_every_workflow_that_a_worker_runs_is_recorded() -> None:
    run = {workflow._Definition.must_from_class(each).name for each in WORKFLOWS}
    kept = {path.parent.name for path in RECORDED}
    assert run <= kept, "run `make record`, with a scenario in tests/replay/scenarios"


def test_of_every_kind_are_recorded_success_hold_and_cancel() -> None:
    wanted = {
        f"{kind.workflow}/{end}" for kind in kinds.ALL for end in ("completed", "held", "cancelled")
    }
    assert wanted <= {f"{path.parent.name}/{path.stem}" for path in RECORDED}, "run `make record`"


def test_no_way_that_a_job_can_take_is_unrecorded() -> None:
    found = {name: lines for name, lines in unreached().items() if name not in KNOWN}
    assert found == {}, "write a scenario in tests/replay/scenarios and run `make record`"


async def test_a_careless_change_is_found_and_the_message_says_what_to_do() -> None:
    path = histories.FOLDER / "0.1.0" / "SendEmail" / "completed.json"
    with pytest.raises(IncompatibleChangeError) as caught:
        await replay(path, [CarelesslyChangedWorkflow])
    told = str(caught.value)
    assert "workflow SendEmail no longer replays history 0.1.0/SendEmail/completed.json" in told
    assert "Nondeterminism" in told
    assert 'workflow.patched("...")' in told


def words(value: Any) -> Iterator[str]:
    """Yield every text in a history, those in payloads too."""
    match value:
        case {"data": str(data), "metadata": _}:
            yield b64decode(data).decode()
        case dict():
            for each in value.values():
                yield from words(each)
        case list():
            for each in value:
                yield from words(each)
        case str():
            yield value


@pytest.mark.parametrize("path", RECORDED, ids=names(RECORDED))
def test_a_history_tells_nothing_of_the_machine_that_recorded_it(path: Path) -> None:
    text = "\n".join(words(json.loads(path.read_text())))
    for told in (socket.gethostname(), str(ROOT), str(Path.home()), "/tmp/", "Traceback"):  # noqa: S108
        assert told not in text

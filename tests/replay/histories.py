"""Recorded histories: where they lie, and what of the recording machine is taken out of them.

``histories/<release>/<workflow type>/<scenario>.json``. A release's histories are kept as long as a
job that it began may still be open: a changed workflow must be able to go on with them.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from temporalio.client import WorkflowHistory

from jobs._version import __version__

FOLDER: Final = Path(__file__).parent / "histories"
MACHINE: Final = re.compile(r"\d+@[\w.-]+")
"""What the SDK calls a client or worker: process id and host."""
DROPPED: Final = {"stackTrace", "encodedAttributes"}


def recorded() -> list[Path]:
    """Return every history, of every release."""
    return sorted(FOLDER.rglob("*.json"))


def load(path: Path) -> WorkflowHistory:
    """Return a recorded history; its workflow id is part of some of the workflows' decisions."""
    document = json.loads(path.read_text())
    return WorkflowHistory.from_json(document["workflowId"], document)


def workflow_type(history: WorkflowHistory) -> str:
    """Return the type of the workflow whose history it is."""
    started = history.events[0].workflow_execution_started_event_attributes
    return started.workflow_type.name


def save(history: WorkflowHistory, name: str) -> Path:
    """Write a history as one of this release's, under its workflow type and ``name``."""
    folder = FOLDER / __version__ / workflow_type(history)
    folder.mkdir(parents=True, exist_ok=True)
    document = {"workflowId": history.workflow_id, **scrubbed(json.loads(history.to_json()))}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def scrubbed(value: Any) -> Any:
    """Return a history's JSON without host names, process ids, stack traces and paths."""
    match value:
        case dict():
            return {
                name: scrubbed(each)
                for name, each in value.items()
                if name not in DROPPED or not isinstance(each, str)
            }
        case list():
            return [scrubbed(each) for each in value]
        case str():
            return MACHINE.sub("1@recorder", value)
        case _:
            return value

"""What keeps the house in order, besides the import contracts in ``pyproject.toml``."""

import ast
import asyncio
import inspect
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.workflow import ActivityConfig

from adapters.database import migrate
from jobs import kinds
from jobs.base import NEVER_RETRIED, JobKind
from tests.wiring import wire_everything
from wiring import Wiring

ROOT = Path(__file__).parent.parent
SIDE_EFFECTS = {
    "PIL",
    "adapters",
    "aiohttp",
    "aiosmtplib",
    "alembic",
    "jinja2",
    "mjml",
    "obstore",
    "pebble",
    "sqlalchemy",
    "temporalio.client",
    "typst",
    "xlsxwriter",
}
FOR_OTHERS_THAN_THE_API = {
    "PIL",
    "aiohttp",
    "aiosmtplib",
    "alembic",
    "matplotlib",
    "mjml",
    "numpy",
    "pebble",
    "psycopg",
    "pyarrow",
    "pygments",
    "python_calamine",
    "rich",
    "typst",
    "xlsxwriter",
}
"""What only workers, the command line or PostgreSQL need; each holds megabytes for good."""
OPEN_THE_API = """
import asyncio, os, sys
import api.__main__, settings

async def main():
    async with api.__main__.opened(settings.load()):
        print(*sys.modules)

asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # the SDK's threads need no patience here
"""
OUTSIDE_THE_SANDBOX = {"__init__", "interceptor", "measuring", "sandbox"}
WORKFLOW_MODULES = sorted(
    f"workflows.{path.stem}"
    for path in (ROOT / "workflows").glob("*.py")
    if path.stem not in OUTSIDE_THE_SANDBOX
)
LONGEST_SILENCE = timedelta(minutes=2)
"""How long a job waits at most before a step whose worker has died runs elsewhere."""
LONGEST_MODULE = 400
"""Lines; most have under 300. A longer one becomes a package of the same name, an idea a module."""
PRODUCT = [
    path
    for path in (*ROOT.glob("*.py"), *ROOT.glob("[a-z]*/**/*.py"))
    if path.relative_to(ROOT).parts[0] not in {"tests", "bench", "examples"}
]
STEPS = [(kind, name, options) for kind in kinds.ALL for name, options in kind.steps.items()]


def test_kinds_and_wiring_name_the_same_kinds() -> None:
    wired = [wiring.kind.name for wiring in wire_everything()]
    assert wired == [kind.name for kind in kinds.ALL]


@pytest.mark.parametrize("wiring", wire_everything(), ids=lambda wiring: wiring.kind.name)
def test_a_workflow_carries_the_name_that_its_kind_gives_it(wiring: Wiring) -> None:
    definition = vars(wiring.workflow)["__temporal_workflow_definition"]
    assert definition.name == wiring.kind.workflow
    run = inspect.signature(definition.run_fn)
    (takes,) = [parameter.annotation for parameter in run.parameters.values()][1:]
    assert issubclass(takes, wiring.kind.input)  # a subclass carries what a run hands to the next
    assert run.return_annotation is wiring.kind.result


def test_every_step_that_a_kind_names_is_registered_on_its_queue() -> None:
    registered = {
        (wiring.kind.queue, vars(step.__func__)["__temporal_activity_definition"].name)  # type: ignore[attr-defined]
        for wiring in wire_everything()
        for step in wiring.activities
    }
    named = {(kind.queue, name) for kind in kinds.ALL for name in kind.steps}
    assert named <= registered


@pytest.mark.parametrize(("kind", "name", "options"), STEPS, ids=lambda value: str(value)[:24])
def test_every_step_is_bounded(
    kind: JobKind[Any, Any],
    name: str,
    options: ActivityConfig,
) -> None:
    policy = options.get("retry_policy")
    assert options.get("start_to_close_timeout"), f"{kind.name}: {name}"
    assert policy is not None
    assert policy.maximum_attempts > 0
    assert set(NEVER_RETRIED) <= set(policy.non_retryable_error_types or ())
    silence = options.get("heartbeat_timeout") or options.get("start_to_close_timeout")
    assert silence is not None
    assert silence <= LONGEST_SILENCE


@pytest.mark.parametrize("module", WORKFLOW_MODULES)
def test_a_workflow_brings_no_library_with_side_effects(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert SIDE_EFFECTS.isdisjoint(loaded)


async def test_the_api_on_a_migrated_database_holds_no_library_of_others(tmp_path: Path) -> None:
    await migrate(f"sqlite:///{tmp_path}/conveyor.db")

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OPEN_THE_API),
        cwd=ROOT,
        env={"CONVEYOR_DATA_DIR": str(tmp_path), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
    )
    loaded, _ = await process.communicate()

    assert process.returncode == 0
    assert "api.services" in loaded.decode().split()
    assert FOR_OTHERS_THAN_THE_API.isdisjoint(loaded.decode().split())


def test_nothing_imports_a_door() -> None:
    assert importers({"worker", "starter"}) == set()


def test_no_module_has_outgrown_its_idea() -> None:
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in PRODUCT}
    assert [name for name, count in lines.items() if count > LONGEST_MODULE] == []


def test_one_module_joins_workflows_to_the_rest() -> None:
    assert importers(set(WORKFLOW_MODULES)) == {"wiring.py"}


def test_one_module_joins_steps_to_the_adapters() -> None:
    steps = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "activities").rglob("*.py")
    }
    around_every_step = {"activities", "activities.interceptor", "activities.measuring"}
    both = importers(steps - around_every_step) & importers({"adapters"})
    assert both == {"wiring.py", "equipment.py"}  # the latter for a dry run of pruning


def importers(modules: set[str]) -> set[str]:
    """Return the files of the product, outside those modules' own room, that import from any."""
    rooms = {module.partition(".")[0] for module in modules}
    return {
        path.relative_to(ROOT).as_posix()
        for path in PRODUCT
        if path.parts[len(ROOT.parts)] not in rooms
        and any(_within(name, modules) for name in _imported(path))
    }


def _within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _imported(path: Path) -> list[str]:
    return [name for node in ast.walk(ast.parse(path.read_text())) for name in _names(node)]


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.name)
def test_the_example_of_a_kind_is_a_valid_input(kind: JobKind[Any, Any]) -> None:
    from jobs.validation import validate

    job = validate(kind.input, kind.example)
    summary = kind.summarize(job)
    assert 0 < len(summary) <= 200
    assert "@" not in summary

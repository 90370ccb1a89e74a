"""The lock files: complete, hashed, host-free, and what pyproject.toml asks for."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
RUN_TIME = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked version."""

    name: str
    version: str
    hashes: int


def pins(lock: Path) -> dict[str, Pin]:
    """Read ``lock``; fails where a line is neither a pin, a hash nor a comment."""
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    found = [
        Pin(
            canonicalize_name(head[1]),
            head[2],
            len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)),
        )
        for text in entries
        if (head := re.match(r"([\w.-]+)==(\S+)", text))
    ]
    assert len(found) == len(entries)
    return {pin.name: pin for pin in found}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


PRODUCT: Sequence[str] = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


def runtime_requirements() -> list[str]:
    found: list[str] = project()["project"]["dependencies"]
    return found


def group(name: str) -> Iterator[str]:
    """The requirements of a dependency group, with those of the groups it includes."""
    for entry in project()["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(entry["include-group"])


def satisfies(locked: dict[str, Pin], need: Requirement) -> bool:
    pin = locked.get(canonicalize_name(need.name))
    return pin is not None and need.specifier.contains(pin.version, prereleases=True)


@pytest.mark.parametrize("lock", [RUN_TIME, DEVELOPMENT], ids=lambda lock: lock.name)
def test_every_pin_has_hashes_and_no_line_names_a_host(lock: Path) -> None:
    assert [pin.name for pin in pins(lock).values() if not pin.hashes] == []
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("lock", [RUN_TIME, DEVELOPMENT], ids=lambda lock: lock.name)
def test_the_lock_holds_what_the_project_asks_for(lock: Path) -> None:
    wanted = runtime_requirements()
    if lock == DEVELOPMENT:
        wanted += [*group("dev"), *project()["build-system"]["requires"]]
    locked = pins(lock)
    unmet = [need for need in map(Requirement, wanted) if not satisfies(locked, need)]
    assert unmet == [], "run `make lock`"


def test_development_and_the_image_run_the_same_versions() -> None:
    development = pins(DEVELOPMENT)
    assert [pin for pin in pins(RUN_TIME).values() if development.get(pin.name) != pin] == []


def optional(tree: ast.Module) -> set[ast.stmt]:
    """The imports that may fail: those in a ``try`` that catches ``ImportError``."""
    return {
        statement
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        and any(ast.unparse(each.type or node) == "ImportError" for each in node.handlers)
        for statement in node.body
    }


def imported(names: Sequence[str]) -> Iterator[str]:
    """The top-level names that the modules in ``names`` need."""
    for path in filter(Path.exists, map(ROOT.joinpath, names)):
        for module in path.rglob("*.py") if path.is_dir() else [path] * (path.suffix == ".py"):
            tree = ast.parse(module.read_text())
            for node in set(ast.walk(tree)) - optional(tree):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module.partition(".")[0]


@pytest.mark.parametrize(
    ("importers", "lock"), [(PRODUCT, RUN_TIME), (["tests", "bench"], DEVELOPMENT)]
)
def test_every_import_is_locked(importers: Sequence[str], lock: Path) -> None:
    locked = set(pins(lock))
    own = {path.stem for path in ROOT.iterdir()}
    providers = packages_distributions()
    foreign = set(imported(importers)) - own - sys.stdlib_module_names
    missing = {
        name
        for name in foreign
        if locked.isdisjoint(map(canonicalize_name, providers.get(name, [])))
    }
    assert missing == set(), "name it in pyproject.toml and run `make lock`"

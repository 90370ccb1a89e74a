"""The wheel and the source archive: complete, and running from any folder."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKED = (
    "activities",
    "adapters",
    "api",
    "cli",
    "jobs",
    "migrations",
    "settings",
    "templates",
    "workflows",
)
IGNORED = {"__pycache__", ".gitignore"}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    shown = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    [found] = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of the wheel, installed in an environment that does not see the sources."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, wheel)
    [site] = folder.glob("lib/*/site-packages")
    # The dependencies of this environment, without the .pth file that leads to the sources.
    ours = next(path for path in map(Path, sys.path) if (path / "temporalio").is_dir())
    (site / "dependencies.pth").write_text(f"{ours}\n")
    return folder / "bin"


def test_the_wheel_holds_every_file_of_its_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKED
        for path in (ROOT / package).rglob("*")
        if path.is_file() and IGNORED.isdisjoint(path.parts)
    }
    assert expected - names == set()
    doors = {"starter.py", "wiring.py", "worker.py", "jobs/py.typed"}
    assert doors <= names


def test_the_source_archive_holds_what_is_needed_to_build_test_and_deploy(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {
        "Makefile", "Dockerfile", "docker-compose.yml", ".env.example", "requirements.lock",
        "requirements-dev.lock", "pyproject.toml", "README.md", "LICENSE",
        "deploy/temporal/dynamic-config.yaml", "tests/test_packaging.py",
    }  # fmt: skip
    assert wanted - names == set()
    private = {name for name in names if name.startswith((".venv", ".conveyor", "deploy/secrets"))}
    assert private == set()


@pytest.mark.parametrize("script", ["conveyor", "conveyor-worker"])
def test_an_installed_script_runs_in_an_empty_folder(
    script: str, installed: Path, tmp_path: Path
) -> None:
    assert "Usage" in run(installed / script, "--help", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_installed_command_finds_the_files_it_reads(installed: Path, tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from adapters.database import migrate;"
        "asyncio.run(migrate('sqlite:///conveyor.db')); print(sys.modules['jobs'].__path__)"
    )
    shown = run(installed / "python", "-c", script, cwd=tmp_path)
    assert str(installed.parent) in shown
    assert (tmp_path / "conveyor.db").exists()

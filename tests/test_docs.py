"""The pages are true: links lead somewhere, commands exist and run, snippets run."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli import reference
from cli.app import app
from tests.end_to_end.installation import ROOT, Installation

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MADE_UP = {"ID", "KEY", "KIND"}
"""What stands in commands for a name of the reader's own."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each ``starter.py`` command that a page shows."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "starter.py"]:
                end = next((i for i, word in enumerate(words) if word in {"|", ">", "&&"}), None)
                yield words[2:end]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    for shown in commands(page):
        words, command = shown, typer.main.get_command(app)
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, words
            command, words = command.commands[words[0]], words[1:]
        options = {option for parameter in command.params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= options | {"--help"}, words


def test_the_index_of_operating_links_every_page() -> None:
    index = ROOT / "docs" / "operate" / "README.md"
    beside = {page.name for page in index.parent.glob("*.md")} - {index.name}
    assert beside <= set(LINK.findall(index.read_text()))


def test_every_command_has_help() -> None:
    def check(command: object, path: str) -> None:
        assert getattr(command, "help", None), path
        for name, child in getattr(command, "commands", {}).items():
            check(child, f"{path} {name}")

    check(typer.main.get_command(app), "starter.py")


def test_the_reference_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert written == reference.page(), "run `make docs`"


def test_the_reference_of_commands_is_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    arguments = ("utils", "docs", "--name", "starter.py", "--title", "Command line")
    subprocess.run(
        [sys.executable, "-m", "typer", "cli.app", *arguments, "--output", str(page)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    written = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert written == page.read_text(), "run `make docs`"


@pytest.mark.slow
def test_the_commands_of_the_readme_run(installation: Installation) -> None:
    (installation.folder / "examples").symlink_to(ROOT / "examples")
    shown = [words for words in commands(ROOT / "README.md") if not MADE_UP & set(words)]
    assert len(shown) >= 4
    with installation.worker():
        for words in shown:
            answer = installation.run(*words)
            assert answer.code == 0, (words, answer.err)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_requests_of_the_readme_run(installation: Installation) -> None:
    (shown,) = (block for block in blocks(ROOT / "README.md", "sh") if "curl" in block)
    lines = shown.replace("\\\n", " ").splitlines()
    create, submit, look = lines
    installation.run("setup", "--demo")
    key = installation.run(*shlex.split(create, comments=True)[2:]).out.strip()
    with installation.worker(), installation.api() as url:

        def request(line: str, **names: str) -> Any:
            line = line.replace("curl", "curl -sSf").replace("http://127.0.0.1:8000", url)
            done = subprocess.run(
                ["sh", "-c", line], env={**os.environ, **names}, capture_output=True, check=True
            )
            return json.loads(done.stdout)

        job_id = request(submit, KEY=key)["id"]
        installation.until(job_id, "completed")
        assert request(look, KEY=key, JOB_ID=job_id)["result"]["delivery"] == "sent"


@pytest.mark.slow
async def test_the_python_of_the_readme_runs(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snippet,) = blocks(ROOT / "README.md", "python")
    lines = "\n".join(f"    {line}" for line in snippet.splitlines())
    names: dict[str, object] = {}
    exec(f"async def run():\n{lines}\n    return job", names)  # noqa: S102 (the README's own code)
    monkeypatch.setenv("TEMPORAL_ADDRESS", installation.variables["TEMPORAL_ADDRESS"])
    await asyncio.to_thread(installation.run, "setup", "--demo")
    worker = installation.worker()
    await asyncio.to_thread(worker.__enter__)
    try:
        job = await names["run"]()  # type: ignore[operator]  # what the snippet defined
    finally:
        await asyncio.to_thread(worker.__exit__, None, None, None)
    assert job.state == "completed"


async def test_the_kind_that_a_page_shows_how_to_add_works(
    client: Client, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    page = ROOT / "docs" / "jobs" / "adding-a-kind.md"
    names = ("jobs.greetings", "activities.greetings", "workflows.greetings")
    for name, code in zip(names, blocks(page, "python"), strict=True):
        made[name] = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made[name])
        exec(compile(code, name, "exec"), vars(made[name]))  # noqa: S102 (the page's own code)
    job = made["jobs.greetings"].Greet(name="Ada")
    async with Worker(
        client,
        task_queue=unique,
        workflows=[made["workflows.greetings"].SayGreetingWorkflow],
        activities=made["activities.greetings"].GreetingActivities().all(),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        result = await client.execute_workflow("SayGreeting", job, id=unique, task_queue=unique)
    assert result == {"text": "Hello Ada"}

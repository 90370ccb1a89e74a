"""The topology of the compose file on this machine (``make stack``), as people and programs use it.

With STACK_FILE set, as `make stack-test` sets it, the whole ring runs against that stack: these
tests on its own workers, the others, which bring workers of their own, in a namespace of theirs.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.codec import open_codec
from adapters.database import Database
from adapters.outbox import Outbox
from cli.demo.acts import ACTS
from cli.demo.receiver import receive_webhooks
from cli.demo.stage import Act, Stage
from jobs.client import JobClient, Submission, connect
from opening import open_endpoint_desk, open_storage
from settings import PREFIX, Settings
from tests.end_to_end.installation import PATIENCE_S, ROOT, Installation
from tests.stack.where import STACK_FILE, Stack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]


@dataclass
class OwnStack:
    """``make stack`` as this module starts it."""

    process: subprocess.Popen[bytes]
    log: Path

    def until_up(self) -> Stack:
        """Return where its parts are."""
        deadline = time.monotonic() + 2 * PATIENCE_S
        while "Ctrl-C stops it" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)  # between looks at a file
        return Stack.load(self.log.parent / "stack.json")


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStack]:
    """A stack of this module's own, ended by its last test."""
    folder = tmp_path_factory.mktemp("stack")
    log = folder / "stack.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stack"],
            cwd=ROOT,
            env={**os.environ, "STACK_FOLDER": str(folder)},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    yield OwnStack(process, log)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.wait()


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Stack:
    """The stack that `make stack-test` runs, or one of this module's own."""
    if STACK_FILE in os.environ:
        return Stack.load(Path(os.environ[STACK_FILE]))
    own: OwnStack = request.getfixturevalue("own_stack")
    return own.until_up()


async def come_out(act: Act, stage: Stage) -> None:
    """Play an act of the demo on a stage; raises what is not as expected."""
    data = await act.input(stage)
    job = await stage.jobs.submit(act.kind, data, Submission(key=act.key))
    await act.expect(stage, await stage.jobs.wait(job.id))


async def test_every_act_of_the_demo_comes_out_right_on_postgresql_and_s3(
    stack: Stack, tmp_path: Path
) -> None:
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in stack.variables.items()
        if name.startswith(PREFIX)
    }
    settings = Settings.model_validate(given)
    database = Database.open(settings.database)
    client = await connect(address=stack.temporal, codec=open_codec(settings.encryption))
    async with receive_webhooks() as receiver:
        stage = Stage(
            jobs=JobClient(client),
            storage=open_storage(settings),
            database=database,
            outbox=Outbox(Path(stack.mails)),
            results=tmp_path,
            ui=stack.ui,
            desk=open_endpoint_desk(settings, database, client),
            receiver=receiver,
        )
        await asyncio.gather(*(come_out(act, stage) for act in ACTS))
    await database.close()


def test_a_job_sent_to_the_api_is_done_by_the_workers(stack: Stack, tmp_path: Path) -> None:
    shell = Installation(tmp_path, stack.variables)
    key = shell.run("keys", "create", "--owner", "ada").out.strip()

    def call(path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{stack.api}{path}", data, headers)  # noqa: S310 - ours
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - ours
            return json.load(answer)

    mail = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
    job = call("/v1/jobs", {"kind": "email", "input": mail})
    done = shell.until(job["id"], "completed")
    assert call(f"/v1/jobs/{job['id']}")["result"] == done["result"]
    assert done["result"]["delivery"] == "sent"


def test_health_finds_every_part(stack: Stack, tmp_path: Path) -> None:
    answer = Installation(tmp_path, stack.variables).run("health")
    assert answer.code == 0, answer.out
    assert "PostgreSQL" in answer.out
    assert "S3" in answer.out


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    children = []
    for file in files:
        with suppress(OSError):  # it has ended meanwhile
            children += [int(word) for word in file.read_text().split()]
    return [*children, *(each for child in children for each in below(child))]


@pytest.mark.skipif(STACK_FILE in os.environ, reason="the stack is somebody else's")
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_ctrl_c_ends_every_part(stack: Stack, own_stack: OwnStack) -> None:
    parts = below(own_stack.process.pid)
    assert len(parts) > len(stack.workers) + 3
    own_stack.process.send_signal(signal.SIGINT)
    assert own_stack.process.wait(timeout=PATIENCE_S) == 0, own_stack.log.read_text()
    deadline = time.monotonic() + PATIENCE_S
    while left := [pid for pid in parts if Path(f"/proc/{pid}").exists()]:  # some end by themselves
        assert time.monotonic() < deadline, left
        time.sleep(0.1)

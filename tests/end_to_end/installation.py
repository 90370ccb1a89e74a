"""A Conveyor of a test's own: embedded server, worker and command line as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from jobs.converter import DATA_CONVERTER
from jobs.status import JobState
from tests.stack.where import STACK_FILE, TESTS, Stack

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240
STACK = Stack.load(Path(os.environ[STACK_FILE])) if STACK_FILE in os.environ else None
"""The stack that the ring runs against, if it does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


@dataclass(slots=True)
class WorkerProcess:
    """A running ``worker.py``."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """Return what it has printed."""
        return self.log.read_text()

    def wait_for(self, line: str) -> None:
        """Return when it has printed ``line``."""
        deadline = time.monotonic() + PATIENCE_S
        while line not in self.text().splitlines():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)  # between looks at a file

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as a deployment would, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)


@dataclass(slots=True)
class Installation:
    """One data folder, and the commands run on it."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    code: Path = ROOT
    """Where the programs lie: another folder for a release of a test's own."""
    _workers: int = 0

    @property
    def namespace(self) -> str:
        """Where its jobs are: on a stack, where the stack's own workers are not."""
        on_stack = STACK and self.variables.get("TEMPORAL_ADDRESS") == STACK.temporal
        return TESTS if on_stack else "default"

    async def connect(self) -> Client:
        """Connect to where its jobs are."""
        return await Client.connect(
            self.variables["TEMPORAL_ADDRESS"],
            namespace=self.namespace,
            data_converter=DATA_CONVERTER,
        )

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a command: this test's, and none from outside."""
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONVEYOR_", "TEMPORAL_"))
        }
        return {
            **outside,
            "CONVEYOR_DATA_DIR": str(self.folder / "data"),
            "TEMPORAL_NAMESPACE": self.namespace,
            **self.variables,
            **extra,
        }

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> Answer:
        """Run ``starter.py`` to its end."""
        done = subprocess.run(
            [sys.executable, str(self.code / "starter.py"), *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def submit(self, *arguments: str) -> str:
        """Submit a job and return its id."""
        answer = self.run("submit", *arguments)
        assert answer.code == 0, answer.err
        return answer.out.strip()

    def status(self, job_id: str) -> Any:
        """Return the job object."""
        answer = self.run("status", job_id, "--json")
        assert answer.code == 0, answer.err
        return answer.json()

    def until(self, job_id: str, state: str) -> Any:
        """Return the job object when the job is in ``state``; fail if it ends in another."""
        if JobState(state).final:
            self.run("status", job_id, "--watch")
        deadline = time.monotonic() + PATIENCE_S
        while (job := self.status(job_id))["state"] != state:
            assert not JobState(job["state"]).final, job
            assert time.monotonic() < deadline, job
        return job

    @contextmanager
    def worker(self, *arguments: str, **variables: str) -> Iterator[WorkerProcess]:
        """Run ``worker.py`` while the context is open."""
        self._workers += 1
        log = self.folder / f"worker-{self._workers}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, str(self.code / "worker.py"), *arguments],
                cwd=self.folder,
                env=self.environment(variables),
                stdout=sink,
                stderr=sink,
            )
        worker = WorkerProcess(process, log)
        try:
            worker.wait_for("ready")
            yield worker
        finally:
            worker.stop()

    @contextmanager
    def api(self) -> Iterator[str]:
        """Run ``python -m api`` while the context is open, and yield its address."""
        log = self.folder / "api.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", "--port", "0"],
                cwd=self.folder,
                env=self.environment({"PYTHONPATH": str(ROOT)}),
                stdout=sink,
                stderr=sink,
            )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while "ready" not in (lines := log.read_text().splitlines()):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)  # between looks at a file
            said = "serving at "
            yield next(line.removeprefix(said) for line in lines if line.startswith(said))
        finally:
            process.terminate()
            process.wait()

"""Processes of a place that are killed without warning, with all that they have started."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Final

from bench.harness import PATIENCE_S, tree

TAIL: Final = 2000
STOP_S: Final = 5


@dataclass(slots=True, kw_only=True)
class Program:
    """A command that can be started again and again; its output goes to a file."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    user: str | None = None
    piped: bool = False
    """Whether its input is a pipe."""
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*_tied(), *self.command],
                cwd=self.folder,
                env=self.environment,
                user=self.user,
                stdin=subprocess.PIPE if self.piped else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None  # noqa: S101 (started before it is asked)
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    @property
    def input(self) -> IO[str]:
        """Its input."""
        assert self.process is not None and self.process.stdin is not None  # noqa: S101, PT018
        return self.process.stdin

    def kill(self) -> None:
        """End it and all its descendants by SIGKILL, as a machine that loses power does."""
        if self.process is None:
            return
        for sent in (signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL):  # what stands starts no more
            for member in tree(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(member, sent)
        self.process.wait(PATIENCE_S)
        self.process = None

    def stop(self) -> None:
        """Ask it to end, as a deploy does; kill it when it doesn't."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        self.kill()

    def until(self, ready: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Return when it is ready.

        Raises:
            RuntimeError: it has ended, or is not ready in time.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            if self.ended or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-TAIL:]
                msg = f"{self.command[0]} is not ready:\n{said}"
                raise RuntimeError(msg)
            time.sleep(0.02)

    def says(self, start: str) -> str | None:
        """Return the last line that begins so, if there is one."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.startswith(start)), None)

    def count(self, line: str) -> int:
        """Return how often it has said that line."""
        return self.log.read_text(errors="replace").splitlines().count(line)


@cache
def _tied() -> Sequence[str]:
    """Return what makes a command die with the thread that starts it, where there is such a thing.

    A bench that is killed itself leaves nothing behind, then.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()


@dataclass(slots=True)
class Place:
    """A folder for programs, which all end with it."""

    folder: Path
    variables: Mapping[str, str]
    stack: ExitStack = field(default_factory=ExitStack)

    def program(
        self,
        name: str,
        *command: str,
        variables: Mapping[str, str] | None = None,
        user: str | None = None,
        piped: bool = False,
    ) -> Program:
        """Return a program, not started yet."""
        program = Program(
            command=command,
            environment={**self.variables, **(variables or {})},
            folder=self.folder,
            log=self.folder / f"{name}.log",
            user=user,
            piped=piped,
        )
        program.log.touch()
        self.stack.callback(program.kill)
        return program


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    """Return whether somebody listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

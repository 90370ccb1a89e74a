"""The parts of Conveyor that ``demo`` and ``dev`` run on this machine."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
READY_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 45


class LocalProcessError(Exception):
    """A part did not start, or ended when it should not; the message has the end of its log."""


@asynccontextmanager
async def process(
    *command: str, log: Path, ready: str, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a part of Conveyor while the context is open; its log goes to a file.

    Args:
        command: Module file and arguments, ``worker.py --queue all``, or ``-m``, a package and
            arguments.
        log: File for what it prints; a pipe that nobody reads would stop it.
        ready: Line of the log that tells that it is up.
        environment: Its variables, all of them.

    Raises:
        LocalProcessError: it is not ready within a minute.
    """
    script, *arguments = command
    program = ["-m", *arguments] if script == "-m" else [str(ROOT / script), *arguments]
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    with log.open("wb") as sink:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            stdout=sink,
            stderr=sink,
            env={**environment, "PYTHONPATH": path},
            start_new_session=True,
        )
    try:
        await _until_ready(child, log, ready)
        yield child
    finally:
        await _stop(child)


async def _until_ready(child: asyncio.subprocess.Process, log: Path, ready: str) -> None:
    for _ in range(READY_TIMEOUT_S * 20):
        lines = await asyncio.to_thread(_lines, log)
        if ready in lines:
            return
        if child.returncode is not None:
            break
        await asyncio.sleep(0.05)
    tail = "\n".join((await asyncio.to_thread(_lines, log))[-15:])
    msg = f"{log.stem} did not start; the end of {log}:\n{tail}"
    raise LocalProcessError(msg)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()

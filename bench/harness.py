"""What the areas of ``python -m bench`` share: a server and workers of their own, CPU, medians.

An area is a module of this package with ``NAME``, ``TITLE`` and
``async def run(plan: Plan) -> Sequence[Row]``.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from adapters import devserver

ROOT: Final = Path(__file__).resolve().parents[1]
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
PATIENCE_S: Final = 180
OURS: Final = ("CONVEYOR_", "TEMPORAL_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How thoroughly to measure."""

    rounds: int = 5
    """Interleaved rounds; medians are taken over them."""
    quick: bool = False
    """Whether small sizes will do."""

    def of(self, full: int, quick: int) -> int:
        """Return the size to measure at."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was measured."""

    name: str
    value: float
    """What the target speaks of, mostly a ratio; the median of the rounds."""
    limit: float | None = None
    """Most that ``value`` may be, or least with ``at_least``; None for figures without a target."""
    at_least: bool = False
    unit: str = "x"
    detail: str = ""
    """The medians behind a ratio."""
    won: bool | None = None
    """In a comparison with a peer that has no target: whether ours is the better side."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """Every round's numbers, for the JSON file."""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Lab:
    """A folder and a Temporal server of the area's own."""

    folder: Path
    server: devserver.DevServer

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the variables of a process in this lab, and none of ours from outside."""
        outside = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(OURS) and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {
            **outside,
            # Compiled once, as an installed package is: the sandbox loads a workflow's module anew
            # for every job.
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": self.server.address,
            "CONVEYOR_DATA_DIR": str(self.folder / "data"),
            **variables,
        }

    @contextmanager
    def process(self, *arguments: str, ready: str, **variables: str) -> Iterator["Process"]:
        """Run Python with ``arguments`` until the context ends; entered when it printed ``ready``.

        Its output goes to a file: a full pipe would stop a worker.
        """
        log = self.folder / f"process-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment(**variables),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Process(child.pid, _line_beginning(ready, log, child))
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a lab."""

    pid: int
    said: str
    """The line by which it said that it was ready."""


@contextmanager
def mail_relay(place: Lab) -> Iterator[str]:
    """Run a relay that takes every mail, in a process of its own; gives its URL."""
    with place.process("-m", "bench.sink", ready="port ") as sink:
        yield f"smtp://127.0.0.1:{sink.said.split()[1]}?tls=none"


@contextmanager
def mail_worker(place: Lab) -> Iterator[Process]:
    """Run a worker of mails, and a relay that takes them."""
    with (
        mail_relay(place) as relay,
        place.process(
            str(ROOT / "worker.py"),
            *("--queue", "emails"),
            ready="ready",
            CONVEYOR_SMTP_URL=relay,
        ) as worker,
    ):
        yield worker


def _line_beginning(start: str, log: Path, child: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        text = log.read_text(errors="replace")
        for line in text.splitlines():
            if line.startswith(start):
                return line
        if child.poll() is not None or time.monotonic() > deadline:
            msg = f"{child.args!r} did not say {start!r}:\n{text}"
            raise RuntimeError(msg)
        time.sleep(0.05)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """Open a lab: a temporary folder with the embedded server as ``worker.py`` would start it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with await devserver.ensure(folder, port=0) as embedded:
            yield Lab(folder, embedded.server)


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        with suppress(OSError):  # it may end meanwhile, and so may a thread of it
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(child) for child in task.read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU that a process tree has used, its ended and awaited children too."""
    ticks = 0
    for member in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(number) for number in fields[11:15])
    return ticks / TICKS_A_SECOND


def rss_mib(pid: int, part: str = "Pss") -> float:
    """Return the resident memory of a process tree; what forked children share counts once.

    That is the sum of proportional shares, from ``smaps_rollup``. Its ``part`` ``Pss_Anon`` leaves
    out files, of which a process has a larger share when another that mapped them ends.
    """
    kib = 0
    for member in tree(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith(f"{part}:"):
                    kib += int(line.split()[1])
    return kib / 1024


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each number over the rounds."""
    return {name: statistics.median(entry[name] for entry in rounds) for name in rounds[0]}


async def gather_at_most(count: int, at_once: int, one: "Any") -> None:
    """Await ``one()`` so many times, so many at once."""
    left = iter(range(count))

    async def lane() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(lane() for _ in range(at_once)))

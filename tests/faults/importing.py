"""A worker's part of an import as a process of its own, for tests that kill or freeze it.

The processes are forked from one that has everything imported, so that many of them are cheap.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from typing_extensions import override

from activities.imports import ImportActivities
from adapters.database import Database
from adapters.database.transfers import Imports
from adapters.storage import Storage
from adapters.transfers import SourceFiles
from jobs.imports import Chunk, ImportData, ImportSuperseded, Written
from tests.transfers import environment

SUPERSEDED = 3
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class WatchedLedger(Imports):
    """Tells the parent of each chunk; stops this process when it has written ``most`` of them."""

    parent: Connection
    most: int
    done: list[Written] = field(default_factory=list)

    @override
    async def write(
        self,
        import_id: str,
        target: str,
        chunk: Chunk,
        *,
        dry_run: bool = False,
        likely_new: bool = False,
    ) -> Written:
        if len(self.done) == self.most:
            os.kill(os.getpid(), signal.SIGSTOP)
        written = await Imports.write(
            self, import_id, target, chunk, dry_run=dry_run, likely_new=likely_new
        )
        self.done.append(written)
        self.parent.send("written")
        return written


@dataclass
class Attempt:
    """One attempt at loading ``orders.csv``, in its own process."""

    database_url: str
    storage_url: str
    job_id: str
    most: int = sys.maxsize
    """Chunks after which it stops where it is: a parent that is slow finds it there, not done."""
    process: ForkServerProcess = field(init=False)
    child: Connection = field(init=False)

    def begin(self) -> None:
        """Return when it is about to load."""
        self.child, parent = SERVER.Pipe(duplex=False)
        arguments = (self.database_url, self.storage_url, self.job_id, self.most, parent)
        self.process = SERVER.Process(target=run, args=arguments)
        self.process.start()
        parent.close()
        assert self.child.recv() == "loading"

    def wait_for_a_chunk(self) -> None:
        """Return when it has written a chunk."""
        assert self.child.recv() == "written"

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL

    def end(self) -> int | None:
        """Let it run to its end and return its exit code."""
        with suppress(EOFError):
            while self.child.recv():
                pass
        self.process.join()
        return self.process.exitcode

    def wait_until_frozen(self) -> None:
        """Return when it has stopped itself."""
        status = Path(f"/proc/{self.process.pid}/stat")
        while status.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.05)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)


def run(database_url: str, storage_url: str, job_id: str, most: int, parent: Connection) -> None:
    """Load the file, in the child."""
    sys.exit(asyncio.run(load(database_url, storage_url, job_id, most, parent)))


async def load(
    database_url: str, storage_url: str, job_id: str, most: int, parent: Connection
) -> int:
    """Load the file; returns the exit code."""
    database = Database.open(database_url)
    ledger = WatchedLedger(database, parent, most)
    steps = ImportActivities(Storage.open(storage_url), SourceFiles(), ledger)
    surroundings = environment(job_id, f"run-of-{job_id}")
    job = ImportData(source="orders.csv", target="orders", max_errors=1_000_000)
    plan = await surroundings.run(steps.inspect, job)
    parent.send("loading")
    try:
        await surroundings.run(steps.load, plan)
    except ImportSuperseded:
        return SUPERSEDED
    finally:
        await database.close()
    return 0

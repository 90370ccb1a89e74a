"""A worker's part of an import as a process of its own, for tests that kill or freeze it.

``python -m tests.faults.importing DATABASE STORAGE KEY JOB [FREEZE]`` loads an orders file and
prints a line when it begins and after each chunk. With FREEZE it stops itself before it writes that chunk.
Ends with 0 when the file is loaded, with 3 when another attempt had written a chunk.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from activities.imports import ImportActivities
from adapters.database import Database
from adapters.database.transfers import Imports
from adapters.storage import Storage
from adapters.transfers import SourceFiles
from jobs.imports import Chunk, ImportData, ImportSuperseded, Written
from tests.transfers import environment

SUPERSEDED = 3


@dataclass(frozen=True)
class FreezingLedger(Imports):
    """Stops this process before it writes a chunk."""

    freeze: int = -1

    @override
    async def write(
        self, import_id: str, target: str, chunk: Chunk, *, dry_run: bool = False
    ) -> Written:
        if chunk.number == self.freeze:
            os.kill(os.getpid(), signal.SIGSTOP)
        written = await Imports.write(self, import_id, target, chunk, dry_run=dry_run)
        say("written")
        return written


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def load(database_url: str, storage_url: str, key: str, job_id: str, freeze: int) -> int:
    """Load the file; returns the exit code."""
    database = Database.open(database_url)
    ledger = FreezingLedger(database, freeze)
    steps = ImportActivities(Storage.open(storage_url), SourceFiles(), ledger)
    surroundings = environment(job_id, f"run-of-{job_id}")
    job = ImportData(source=key, target="orders", max_errors=1_000_000)
    plan = await surroundings.run(steps.inspect, job)
    say("loading")
    try:
        await surroundings.run(steps.load, plan)
    except ImportSuperseded:
        return SUPERSEDED
    finally:
        await database.close()
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run on a command line."""
    database_url, storage_url, key, job_id, *freeze = arguments
    return asyncio.run(load(database_url, storage_url, key, job_id, int(*freeze or (-1,))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

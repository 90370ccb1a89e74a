"""A worker of batches as a process of its own, for tests that kill it.

``python -m tests.faults.batching QUEUE FOLDER [EFFECTS]``: each parcel that is sent is a line in
``FOLDER/sent``, written when its effect is done and before its row is in the ledger. After so many
it kills itself as ``kill -9`` would: nobody else can do it at a moment that is chosen beforehand.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.batches import BatchActivities
from activities.errands import Errand
from adapters.database import Database
from adapters.database.batches import BatchLedger
from adapters.storage import Storage
from jobs import kinds
from jobs.batches import BATCH
from jobs.client import JobClient, connect
from tests.workflows.parcels import PARCEL, Delivered, Parcel
from workflows.batches import RunBatchWorkflow

WORK_S = 0.02
"""What an item takes after its effect: a kill finds most lanes there, where it hurts."""


def register(queue: str) -> None:
    """Let batches and parcels be of ``queue``."""
    for kind in (PARCEL, BATCH):
        mine = replace(kind, queue=cast("Any", queue))
        cast("dict[str, object]", kinds.KINDS)[kind.name] = mine
        cast("dict[str, object]", kinds.KINDS_BY_WORKFLOW)[kind.workflow] = mine


async def work(queue: str, folder: Path, effects: int | None) -> None:
    """Serve until killed, by itself after so many ``effects``."""
    register(queue)
    client = await connect()
    sent = os.open(folder / "sent", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    made = 0

    async def send(parcel: Parcel, errand: Errand) -> Delivered:
        nonlocal made
        os.write(sent, f"{errand.job_id}\n".encode())
        made += 1
        if made == effects:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(WORK_S)
        return Delivered(to=parcel.name)

    steps = BatchActivities(
        ledger=BatchLedger(Database.open(f"sqlite:///{folder / 'conveyor.db'}")),
        files=Storage.open(f"file://{folder / 'objects'}"),
        jobs=JobClient(client),
        performers={"parcel": send},
    )
    async with Worker(
        client,
        task_queue=queue,
        workflows=[RunBatchWorkflow],
        activities=steps.all(),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None))

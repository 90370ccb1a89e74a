"""Batches of parcels over a real server, ledger and storage."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.batches import BatchActivities
from activities.failures import FailureActivities
from activities.interceptor import StepInterceptor
from adapters.database import Database, migrate
from adapters.database.batches import BatchLedger
from adapters.storage import Storage
from jobs import kinds
from jobs.batches import BATCH
from jobs.client import JobClient, Submission
from jobs.failures import FinalFailure
from jobs.status import JobStatus
from tests.conftest import HEARTBEAT_INTERVAL
from tests.workflows.parcels import PARCEL, Parcels, SendParcelWorkflow
from workflows.batches import RunBatchWorkflow
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER


class Unheard:
    """Takes reports of failures, and forgets them."""

    async def report(self, failure: FinalFailure) -> None:
        assert failure.type

    async def attempts(self, job_id: str, run_id: str) -> int:
        return 1


@dataclass(slots=True)
class BatchBench:
    """Steps of batches, and what they are done over."""

    client: Client
    queue: str
    jobs: JobClient
    parcels: Parcels
    steps: BatchActivities
    ledger: BatchLedger
    storage: Storage

    @asynccontextmanager
    async def worker(self, batches: type = RunBatchWorkflow) -> AsyncIterator[None]:
        """Run a worker; ``batches`` is the workflow of batches."""
        failures = FailureActivities(Unheard(), Unheard())
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[batches, SendParcelWorkflow],
            activities=[*self.steps.all(), *self.parcels.all(), *failures.all()],
            workflow_runner=RUNNER,
            interceptors=[StepInterceptor(), FinalFailureInterceptor()],
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        ):
            yield

    async def submit(self, key: str, owner: str | None = None, **batch: Any) -> JobStatus:
        """Submit a batch of parcels."""
        options = Submission(key=key, owner=owner, tags={"season": "winter"}, priority=2)
        return await self.jobs.submit("batch", {"kind": "parcel", **batch}, options)

    async def store(self, *names: str) -> str:
        """Store a list of parcels to these names."""
        lines = "".join(f"{json.dumps({'name': name})}\n" for name in names)
        await self.storage.put("uploads/list.jsonl", lines.encode())
        return "uploads/list.jsonl"

    async def outcomes(self, job: JobStatus) -> list[dict[str, Any]]:
        """Return the lines of the outcomes file."""
        assert job.result is not None, job
        data = await self.storage.get(job.result["outcomes"]["key"])
        return [json.loads(line) for line in data.splitlines()]


@asynccontextmanager
async def batch_bench(
    client: Client,
    queue: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_chunks: bool = True,
    chunk: int = 10,
) -> AsyncIterator[BatchBench]:
    """Open everything that batches need, with the kind ``parcel`` on a queue of the test's own."""
    for kind in (PARCEL, BATCH):
        mine = replace(kind, queue=cast("Any", queue))
        monkeypatch.setitem(cast("dict[str, object]", kinds.KINDS), kind.name, mine)
        monkeypatch.setitem(cast("dict[str, object]", kinds.KINDS_BY_WORKFLOW), kind.workflow, mine)
    url = f"sqlite:///{folder / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    ledger, storage, jobs = BatchLedger(database), Storage.open("memory:"), JobClient(client)
    parcels = Parcels()
    steps = BatchActivities(
        ledger=ledger,
        files=storage,
        jobs=jobs,
        performers={"parcel": parcels.perform} if in_chunks else {},
        chunk=chunk,
    )
    yield BatchBench(client, queue, jobs, parcels, steps, ledger, storage)
    await database.close()

"""A kind that does nothing, and a worker of it and of batches: ``python -m bench.peers.noop``."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, cast

from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

import settings as environment
from activities.batches import BatchActivities
from activities.errands import Errand
from adapters.database.batches import BatchLedger
from bench.workers import our_worker
from jobs import kinds
from jobs.base import NEVER_RETRIED, Contract, JobKind, Queue
from jobs.client import JobClient, connect
from opening import open_database, open_storage, require_migrations


class Noop(Contract):
    """Nothing to do."""

    number: int


class Nothing(Contract):
    """Nothing was done."""

    number: int


DO: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_attempts=3, non_retryable_error_types=NEVER_RETRIED),
)

NOOP: Final = JobKind(
    name="noop",
    workflow="DoNothing",
    input=Noop,
    result=Nothing,
    queue=Queue.BATCHES,
    deadline=timedelta(hours=1),
    steps={"noops.do": DO},
    summarize=lambda _: "do nothing",
    example={"number": 1},
)


class NoopActivities:
    """The one step."""

    async def perform(self, job: Noop, _: Errand) -> Nothing:
        """Do nothing, as an item of a batch."""
        return Nothing(number=job.number)

    @activity.defn(name="noops.do")
    async def do(self, job: Noop) -> Nothing:
        """Do nothing; idempotent."""
        return Nothing(number=job.number)

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.do,)


def register() -> None:
    """Let this process know the kind."""
    cast("dict[str, object]", kinds.KINDS)[NOOP.name] = NOOP
    cast("dict[str, object]", kinds.KINDS_BY_WORKFLOW)[NOOP.workflow] = NOOP


async def main() -> None:
    """Serve until SIGTERM."""
    from bench.peers.workflow import DoNothingWorkflow
    from workflows.batches import RunBatchWorkflow

    register()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = environment.load()
    await require_migrations(settings)
    client = await connect()
    noops = NoopActivities()
    batches = BatchActivities(
        ledger=BatchLedger(open_database(settings)),
        files=open_storage(settings),
        jobs=JobClient(client),
        performers={NOOP.name: noops.perform},
    )
    async with our_worker(
        client,
        Queue.BATCHES,
        workflows=[RunBatchWorkflow, DoNothingWorkflow],
        activities=[*batches.all(), *noops.all()],
    ):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

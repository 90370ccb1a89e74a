"""A small kind of one step, to test batches by: its input says how it goes.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from activities.errands import Errand, own_errand
from jobs.base import NEVER_RETRIED, Contract, JobKind, Queue, StoredFile
from jobs.errors import PermanentError, TransientError
from workflows.base import JobWorkflow


class ParcelRefused(PermanentError):
    """Nobody will ever take it."""


class ParcelDelayed(TransientError):
    """The carrier is not there yet."""


class Parcel(Contract):
    name: str
    label: StoredFile | None = None


class Delivered(Contract):
    to: str
    stops: tuple[str, ...] = ()


SEND: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=50),
        maximum_attempts=3,
        non_retryable_error_types=NEVER_RETRIED,
    ),
)

PARCEL: Final = JobKind(
    name="parcel",
    workflow="SendParcel",
    input=Parcel,
    result=Delivered,
    queue=Queue.BATCHES,
    deadline=timedelta(hours=1),
    steps={"parcels.send": SEND},
    summarize=lambda _: "send a parcel",
    example={"name": "Ada"},
)


@dataclass
class Parcels:
    """Sends parcels, and knows how often each was handed over."""

    sent: Counter[str] = field(default_factory=Counter)
    """By job id."""
    tries: Counter[str] = field(default_factory=Counter)
    """By name."""
    refuse: set[str] = field(default_factory=set)
    delay: set[str] = field(default_factory=set)
    """Once in a chunk, then no more."""
    hold: set[str] = field(default_factory=set)
    """Until ``go_on``."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False

    async def perform(self, parcel: Parcel, errand: Errand) -> Delivered:
        self.tries[parcel.name] += 1
        if parcel.name in self.refuse:
            raise ParcelRefused("nobody takes it: send another")
        if self.away or (parcel.name in self.delay and self.tries[parcel.name] == 1):
            raise ParcelDelayed("the carrier is away")
        if parcel.name in self.hold:
            self.held.set()
            await self.go_on.wait()
        self.sent[errand.job_id] += 1
        return Delivered(to=parcel.name, stops=("a", "b"))

    @activity.defn(name="parcels.send")
    async def send(self, parcel: Parcel) -> Delivered:
        sending = asyncio.create_task(self.perform(parcel, own_errand()))
        while not (await asyncio.wait({sending}, timeout=0.1))[0]:
            activity.heartbeat()
        return sending.result()

    def all(self) -> Sequence[Callable[..., object]]:
        return (self.send,)


@workflow.defn(name=PARCEL.workflow)
class SendParcelWorkflow(JobWorkflow):
    @workflow.run
    async def run(self, parcel: Parcel) -> Delivered:
        return await self.step(Parcels.send, parcel, SEND, place=(1, 1), summary="send")

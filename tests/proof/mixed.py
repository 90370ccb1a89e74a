"""Jobs of every kind, submitted while the plan strikes; then the count."""

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from jobs.client import JobFilter, Submission
from jobs.errors import PoisonJob, ServerUnreachableError
from jobs.status import JobState
from jobs.webhooks import WEBHOOK
from tests.proof.histories import repetitions
from tests.proof.judging import Judge, Verdict, children
from tests.proof.load import SOURCE, Load, Planned, body_of, make_load
from tests.proof.place import AWAY, SECRET, Place, open_place, start_workers
from tests.proof.plan import Fault, Strike, make_plan
from tests.proof.striking import Striker
from workflows.base import MAX_LOST_WORKERS

SUBMITTED_AT_ONCE: Final = 8
STORED: Final = {200, 202}
SENDER_WAITS_S: Final = 2.0
SENDER_TRIES: Final = 150
"""A sender whose webhook was not stored comes again, as they all do."""
SUBMITTER_WAITS: Final = timedelta(minutes=5)
"""How long a submission is tried while the server is away."""
LOOK_S: Final = 0.5
LOOKS_AT_END: Final = 2
RELEASE_S: Final = 2.0
PATIENCE_S: Final = 600.0
"""When nothing has ended for so long, what is open counts as lost."""
JUDGED_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    seed: int
    jobs: int
    freeze_s: float
    plan: Sequence[Strike]
    struck: Mapping[Fault, int]
    skipped: Mapping[Fault, str]
    verdicts: Sequence[Verdict]
    poisoned: int
    """Workers that the poison job killed."""
    places: int
    """Workers that ran at a time."""
    lives: int
    """Workers that were started in all."""
    released: int
    """Jobs that were held and released by the operator."""
    retried: int
    """Jobs that had lost three workers to the faults and were retried by the operator."""
    seconds: float
    refused: Sequence[str]
    """Jobs that could not be submitted."""
    unsigned: int
    """Requests that a receiver refused for their signature or time-stamp."""

    @property
    def proved(self) -> bool:
        """Whether nothing was lost, and nothing doubled that is not a named unknown."""
        spoilt = any(verdict.lost or verdict.doubled for verdict in self.verdicts)
        return not (spoilt or self.refused or self.unsigned)


@dataclass(slots=True)
class Watch:
    """How far the whole load is, asked of the server again and again."""

    place: Place
    ended: int = 0
    open: int = 1
    released: int = 0
    retried: int = 0

    async def look(self) -> bool:
        """Ask once; return whether the server has answered."""
        try:
            counts = {entry.state: entry.count for entry in await self.place.jobs.count()}
        except AWAY:
            return False
        final = {state.value for state in JobState if state.final}
        self.ended = sum(n for state, n in counts.items() if state in final)
        self.open = sum(counts.values()) - self.ended
        return True

    async def follow(self) -> None:
        """Look until cancelled; a server that is away is asked again."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def release(self) -> None:
        """Do until cancelled what an operator does: release what is held for want of room."""
        while True:
            await asyncio.sleep(RELEASE_S)
            for job_id in () if self.place.disk.full else await self.place.held():
                with suppress(*AWAY):
                    await self.place.jobs.release(job_id)
                    self.released += 1

    async def retry(self, jobs: Sequence[Planned]) -> bool:
        """Do what an operator does: retry what is no poison, and met faults three times in a step.

        A report whose mail was lost is retried, which sends the mail. Return whether any was.
        """
        name = PoisonJob.__name__
        meant = {job.id for job in jobs if job.fails == name}
        whole = {child: job.id for job in jobs for child in children(self.place, job)}
        wanted = JobFilter(state=JobState.FAILED, error=name)
        for job in (await self.place.jobs.list(wanted, limit=100)).jobs:
            lost = (await repetitions(self.place.temporal, job.id)).lost_workers
            if job.id not in meant and lost >= MAX_LOST_WORKERS:
                await self.place.jobs.retry(whole.get(job.id, job.id))
                self.retried += 1
        return self.retried > 0

    async def until_all_ended(self) -> None:
        """Return when no job is open, or when nothing has ended for long.

        It takes two looks: a job that another has started may be seen after that one's end.
        """
        seen, since, none_open = (self.ended, self.open), time.monotonic(), 0
        while none_open < LOOKS_AT_END and time.monotonic() - since < PATIENCE_S:
            await asyncio.sleep(LOOK_S)
            none_open = none_open + 1 if await self.look() and not self.open else 0
            if (self.ended, self.open) != seen:
                seen, since = (self.ended, self.open), time.monotonic()


async def prove(*, seed: int, jobs: int, freeze_s: float, say: Callable[[str], None]) -> Outcome:
    """Run the load under the plan and judge it."""
    began = time.monotonic()
    load, plan = make_load(seed, jobs), make_plan(seed, jobs, freeze_s)
    with TemporaryDirectory(prefix="proof-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with open_place(folder, jobs=jobs, seed=seed) as place, AsyncExitStack() as stack:
            place.relay.fates = dict(load.fates)
            for key, data in load.files.items():
                await place.storage.put(key, data)
            await start_workers(stack, place, folder)
            say(f"{len(place.fleet.members)} workers are ready")
            striker = Striker(place, plan, say, Random(f"strikes {seed}"))  # noqa: S311 (repeatable)
            watch = Watch(place)
            refused = await _carry_out(place, load, striker, watch)
            say(f"{watch.ended} jobs have ended, {watch.open} have not; counting")
            verdicts = await _judge(place, [job for job in load.jobs if job.id not in refused])
            return Outcome(
                seed=seed,
                jobs=jobs,
                freeze_s=freeze_s,
                plan=plan,
                struck=striker.done,
                skipped=striker.skipped,
                verdicts=verdicts,
                poisoned=striker.poisoned,
                places=len(place.fleet.members),
                lives=sum(member.lives for member in place.fleet.members),
                released=watch.released,
                retried=watch.retried,
                seconds=time.monotonic() - began,
                refused=refused,
                unsigned=sum(receiver.refused for _, receiver, _ in place.receivers),
            )


async def _carry_out(place: Place, load: Load, striker: Striker, watch: Watch) -> list[str]:
    """Submit and strike until everything has ended; return what could not be submitted."""
    aides = [asyncio.create_task(watch.follow()), asyncio.create_task(watch.release())]
    try:
        striking = asyncio.create_task(striker.run(lambda: watch.ended))
        refused = await _submit(place, load.jobs)
        await striking
        if striker.broken is not None:
            raise striker.broken
        await watch.until_all_ended()
        if await watch.retry(load.jobs):
            await watch.until_all_ended()
    finally:
        for aide in aides:
            aide.cancel()
        await asyncio.gather(*aides, return_exceptions=True)
    return refused


async def _submit(place: Place, jobs: Sequence[Planned]) -> list[str]:
    """Submit all, some at once; return the ids of those that were not taken."""
    waiting = iter(jobs)
    refused: list[str] = []

    async def lane() -> None:
        for job in waiting:
            try:
                taken = await _submit_one(place, job)
            except ServerUnreachableError:
                taken = False
            if not taken:
                refused.append(job.id)

    await asyncio.gather(*(lane() for _ in range(SUBMITTED_AT_ONCE)))
    return refused


async def _submit_one(place: Place, job: Planned) -> bool:
    if job.kind != WEBHOOK.name:
        await place.jobs.submit(
            job.kind, job.data, Submission(key=job.key, retry_for=SUBMITTER_WAITS)
        )
        return True
    body = body_of(job)
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": job.key,
        "x-hub-signature-256": "sha256="
        + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
    }
    for _ in range(SENDER_TRIES):
        receipt = await place.door.receive(SOURCE, headers, body)
        if receipt.status in STORED:
            return True
        await asyncio.sleep(SENDER_WAITS_S)
    return False


async def _judge(place: Place, jobs: Sequence[Planned]) -> list[Verdict]:
    judge = await Judge.open(place, jobs)
    waiting = iter(jobs)
    verdicts: list[Verdict] = []

    async def lane() -> None:
        for job in waiting:
            verdicts.extend(await judge.judge(job))

    await asyncio.gather(*(lane() for _ in range(JUDGED_AT_ONCE)))
    return verdicts


def totals(verdicts: Sequence[Verdict]) -> dict[str, Counter[str]]:
    """Return the counts of each kind, and of all."""
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        for name in (verdict.kind, "all"):
            counts = found.setdefault(name, Counter())
            counts["submitted"] += 1
            counts["completed once"] += verdict.once
            counts["failed as planned"] += verdict.planned
            counts["lost"] += verdict.lost
            counts["effects doubled"] += verdict.doubled
            counts["named unknowns"] += verdict.unknown
            counts["steps redone"] += verdict.repeated.redone
            counts["attempts eaten"] += verdict.repeated.eaten
    return found

"""A flood of jobs, half by the client and half over HTTP: whose memory grows with it?"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.api import make_key
from bench.harness import gather_at_most, lab, mail_worker, rss_mib
from jobs.client import JobClient, connect
from jobs.emails import EMAIL

AT_ONCE: Final = 10
LOOKS: Final = 10
SETTLED: Final = 0.3
"""From this share of the jobs on memory must stay where it is: caches and pools are full then."""
GROWTH_MIB: Final = 64.0
"""Most by which a process may grow from there to the end, whatever the number of jobs."""
PATIENCE_S: Final = 300.0
MAIL: Final = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
PARTS: Final = ("worker", "api", "client")


@dataclass(frozen=True, slots=True)
class Look:
    """Memory when so many jobs had ended."""

    ended: int
    mib: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What a flood came to."""

    jobs: int
    completed: int
    seconds: float
    looks: Sequence[Look]

    def growth(self, part: str) -> float:
        """Return by how many MiB a process grew after it had settled."""
        settled = [look for look in self.looks if look.ended >= self.jobs * SETTLED]
        return settled[-1].mib[part] - settled[0].mib[part]

    def slope(self, part: str) -> float:
        """Return its growth in MiB per 1,000 jobs from there."""
        settled = [look for look in self.looks if look.ended >= self.jobs * SETTLED]
        ended = settled[-1].ended - settled[0].ended
        return self.growth(part) / ended * 1000 if ended else 0.0

    @property
    def proved(self) -> bool:
        """Whether every job is done and no process grew with the number of jobs."""
        bounded = all(self.growth(part) <= GROWTH_MIB for part in PARTS)
        return self.completed == self.jobs and bounded


async def flood(count: int, say: Callable[[str], None]) -> Flood:
    """Submit so many mails as fast as they are taken, and watch until all are done."""
    began = time.monotonic()
    async with lab() as place:
        key = await make_key(place)
        with (
            mail_worker(place) as worker,
            place.process(
                *("-m", "api", "--port", "0"), ready="serving at ", CONVEYOR_API_RATE="100000/s"
            ) as api,
        ):
            jobs = JobClient(await connect(address=place.server.address))
            pids = {"worker": worker.pid, "api": api.pid}
            url = api.said.removeprefix("serving at ")
            async with httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60
            ) as http:
                submitting = asyncio.create_task(_submit(jobs, http, count))
                looks, completed = await _watch(jobs, pids, count, submitting, say)
                await submitting
    return Flood(jobs=count, completed=completed, seconds=time.monotonic() - began, looks=looks)


def _own_mib() -> float:
    """Return the memory of this process without its children, which are the others."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


async def _submit(jobs: JobClient, http: httpx.AsyncClient, count: int) -> None:
    async def by_client() -> None:
        await jobs.submit(EMAIL.name, MAIL)

    async def by_http() -> None:
        answer = await http.post("/v1/jobs", json={"kind": EMAIL.name, "input": MAIL})
        answer.raise_for_status()

    half = count // 2
    await asyncio.gather(
        gather_at_most(half, AT_ONCE, by_client), gather_at_most(count - half, AT_ONCE, by_http)
    )


async def _watch(
    jobs: JobClient,
    pids: dict[str, int],
    count: int,
    submitting: "asyncio.Task[Any]",
    say: Callable[[str], None],
) -> tuple[list[Look], int]:
    """Look at the memory each time a tenth of the jobs has ended."""
    looks: list[Look] = []
    ended, since = 0, time.monotonic()
    while ended < count and time.monotonic() - since < PATIENCE_S:
        if submitting.done() and submitting.exception() is not None:
            break
        counts = {entry.state: entry.count for entry in await jobs.count()}
        if (now := counts.get("completed", 0)) != ended:
            ended, since = now, time.monotonic()
        if ended >= count * len(looks) / LOOKS:
            mib = {part: rss_mib(pid, "Pss_Anon") for part, pid in pids.items()}
            looks.append(Look(ended, {**mib, "client": _own_mib()}))
            told = ", ".join(f"{part} {mib:.0f} MiB" for part, mib in looks[-1].mib.items())
            say(f"{ended:,} of {count:,} jobs are done: {told}")
        await asyncio.sleep(0.5)
    return looks, ended

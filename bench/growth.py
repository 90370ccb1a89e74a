"""What grows when the work grows tenfold: CPU for each mail, and memory for each open job.

Mails one job each, first some, then ten times as many, on one worker and one server, whose CPU
counts; and reminders that are due in a day, whose memory is looked at when nothing moves.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.harness import Lab, Plan, Process, Row, cpu_s, gather_at_most, lab, mail_worker, rss_mib
from jobs.client import JobClient, connect
from jobs.status import JobState

NAME = "growth"
TITLE = "Ten times the work: CPU a mail, memory an open job"

WARM_UP: Final = 50
FEW: Final = 200
QUICK_FEW: Final = 50
OPEN: Final = 2_000
QUICK_OPEN: Final = 200
AT_ONCE: Final = 20
SETTLE_S: Final = 5
MAIL: Final = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}


async def run(plan: Plan) -> Sequence[Row]:
    """Measure once; what grows shows within the run."""
    async with lab() as place:
        with mail_worker(place) as worker:
            jobs = JobClient(await connect(address=place.server.address))
            await mails(jobs, WARM_UP)
            few = plan.of(FEW, QUICK_FEW)
            spent = {}
            for count in (few, 10 * few):
                before = cpu_of(place, worker)
                await mails(jobs, count)
                spent[count] = (cpu_of(place, worker) - before) * 1000 / count
            held = await memory_of_open_jobs(place, worker, jobs, plan.of(OPEN, QUICK_OPEN))
    return [
        Row(
            name=f"CPU a mail, {10 * few:,} mails over {few:,}",
            value=spent[10 * few] / spent[few],
            limit=1.15,
            detail=f"{spent[10 * few]:.1f} ms, {spent[few]:.1f} ms: server, worker and client",
            raw={str(count): each for count, each in spent.items()},
        ),
        *held,
    ]


async def mails(jobs: JobClient, count: int) -> None:
    """Send mails, one job each, and wait for them."""

    async def one() -> None:
        submitted = await jobs.submit("email", MAIL)
        job = await jobs.wait(submitted.id)
        if job.state is not JobState.COMPLETED:
            msg = f"a mail was not sent: {job}"
            raise RuntimeError(msg)

    await gather_at_most(count, AT_ONCE, one)


def cpu_of(place: Lab, worker: Process) -> float:
    """Return the CPU seconds of server, worker and this process so far."""
    return cpu_s(place.server.pid) + cpu_s(worker.pid) + time.process_time()


async def memory_of_open_jobs(
    place: Lab, worker: Process, jobs: JobClient, count: int
) -> Sequence[Row]:
    """Return what each of so many open jobs holds, in the worker and in the server."""
    due = datetime.now(UTC) + timedelta(days=1)
    reminder: dict[str, Any] = {
        "to": "ada@example.com",
        "message": "The report is due.",
        "send_at": due.isoformat(),
    }

    async def one() -> None:
        await jobs.submit("reminder", reminder)

    sizes: list[dict[str, float]] = []
    for more in (0, count):
        await gather_at_most(more, AT_ONCE, one)
        await asyncio.sleep(SETTLE_S)
        sizes.append({"worker": rss_mib(worker.pid), "server": rss_mib(place.server.pid)})
    before, after = sizes
    return [
        Row(
            name=f"memory of the {part} for each of {count:,} open reminders",
            value=(after[part] - before[part]) * 1024 / count,
            unit="KiB",
            detail=f"{before[part]:.0f} MiB before, {after[part]:.0f} MiB after",
        )
        for part in before
    ]

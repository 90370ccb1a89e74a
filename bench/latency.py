"""How long a mail takes from submission to its known end: on an idle system, and behind a backlog.

Idle, mails are sent one after the other. Then some owner submits very many at once, and a mail of
another owner, and one of the same owner, are timed until the backlog is done: workers take jobs of
owners in turn, so the other one's should hardly wait. The relay runs in another process.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Final

from bench.harness import Plan, Row, gather_at_most, lab, mail_worker
from jobs.client import JobClient, Submission, connect
from jobs.status import JobState

NAME = "latency"
TITLE = "From submission to end: idle, and behind somebody's backlog"

WARM_UP: Final = 20
IDLE: Final = 100
QUICK_IDLE: Final = 20
BACKLOG: Final = 1_000
QUICK_BACKLOG: Final = 200
SUBMITTED_AT_ONCE: Final = 20
MAIL: Final = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
CROWD: Final = "crowd"


async def run(plan: Plan) -> Sequence[Row]:
    """Time mails of an idle system, then of a loaded one."""
    async with lab() as place:
        with mail_worker(place):
            jobs = JobClient(await connect(address=place.server.address))
            await gather_at_most(WARM_UP, WARM_UP, lambda: timed(jobs, "ada"))
            idle = [await timed(jobs, "ada") for _ in range(plan.of(IDLE, QUICK_IDLE))]
            backlog = plan.of(BACKLOG, QUICK_BACKLOG)
            ids: list[str] = []

            async def submit() -> None:
                ids.append((await jobs.submit("email", MAIL, Submission(owner=CROWD))).id)

            await gather_at_most(backlog, SUBMITTED_AT_ONCE, submit)
            began = time.perf_counter()
            done = asyncio.gather(*(jobs.wait(job_id) for job_id in ids))
            own = asyncio.create_task(timed(jobs, CROWD))
            others = []
            while not done.done():
                others.append(await timed(jobs, "ada"))
            await done
            cleared = time.perf_counter() - began
            behind = await own
    return rows(idle, others, behind, cleared, backlog)


async def timed(jobs: JobClient, owner: str) -> float:
    """Send a mail; return the seconds from before its submission to its end."""
    began = time.perf_counter()
    submitted = await jobs.submit("email", MAIL, Submission(owner=owner))
    job = await jobs.wait(submitted.id)
    if job.state is not JobState.COMPLETED:
        msg = f"a mail was not sent: {job}"
        raise RuntimeError(msg)
    return time.perf_counter() - began


def rows(
    idle: Sequence[float], others: Sequence[float], behind: float, cleared: float, backlog: int
) -> Sequence[Row]:
    """Return the rows; latencies in milliseconds."""

    def row(name: str, seconds: Sequence[float]) -> Row:
        ordered = sorted(1000 * each for each in seconds)
        p95 = ordered[int(len(ordered) * 0.95)]
        return Row(
            name=name,
            value=statistics.median(ordered),
            unit="ms",
            detail=f"p95 {p95:,.0f} ms, {len(ordered):,} mails",
            raw={"milliseconds": ordered},
        )

    crowd = f"{backlog:,} of another owner's"
    return [
        row("a mail, idle", idle),
        row(f"a mail behind {crowd}", others),
        row("the same, of the owner of the backlog", [behind]),
        Row(
            name=f"a mail behind {crowd}, over the backlog's time",
            value=statistics.median(others) / cleared,
            limit=0.1,
            detail=f"the backlog took {cleared:,.1f} s, {backlog / cleared:,.0f} mails/s",
        ),
    ]

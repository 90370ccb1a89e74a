"""What an email job costs over a bare Temporal workflow with one activity that does nothing.

Both run in turns on one server, each with a worker process of its own; mails go to a relay in
another process, which is not counted. ``busy`` rounds give CPU per job, ``idle`` ones the time from
submission to the known end, one job at a time. The two take turns every few jobs, so that whatever
else the machine does falls on both.

The bare workflow runs in the SDK's sandbox, as it does by default; ours runs without, since its
tests are in it. What an email costs beyond it, 6 to 7 ms: in the worker (2 ms) the mail itself and
its ledger, read once and written twice, once before the mail goes out so that it goes out once; in
the server (3 ms) memo and attributes by which jobs are found and told apart, a summary for the Web
UI, and a step that passes through its queue, where limits and pauses hold; in the client (1 ms) the
check of the input and, at the end, a second call for the whole status and not the result alone.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.bare.steps import Ping
from bench.bare.worker import QUEUE
from bench.bare.workflow import BareWorkflow
from bench.harness import Lab, Plan, Row, cpu_s, gather_at_most, lab, mail_worker, medians
from jobs.client import JobClient, connect
from jobs.status import JobState

NAME = "overhead"
TITLE = "What an email job costs over a bare workflow with one step that does nothing"

WARM_UP = 30
BUSY_TURNS = 5
BUSY_JOBS = 20
BUSY_AT_ONCE = 10
IDLE_JOBS = 10
PARTS = ("server", "worker", "client")
MAIL = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run a job, and the worker that serves it."""

    worker: int
    job: Callable[[], Awaitable[None]]


async def run(plan: Plan) -> Sequence[Row]:
    """Measure in so many interleaved rounds."""
    async with lab() as place:
        with (
            place.process("-m", "bench.bare.worker", ready="ready") as bare,
            mail_worker(place) as emails,
        ):
            contenders = {
                "bare": Contender(bare.pid, await bare_job(place)),
                "email": Contender(emails.pid, await email_job(place)),
            }
            for contender in contenders.values():
                await gather_at_most(WARM_UP, BUSY_AT_ONCE, contender.job)
            raw: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
            for number in range(plan.rounds):
                turns = await take_turns(place, contenders, first=number % 2)
                for name in contenders:
                    raw[name].append(turns[name])
    return rows(raw)


async def bare_job(place: Lab) -> Callable[[], Awaitable[None]]:
    """Return what starts a bare workflow and waits for its end."""
    client = await Client.connect(place.server.address, data_converter=pydantic_data_converter)

    async def job() -> None:
        handle = await client.start_workflow(
            BareWorkflow.run, Ping(text="Ada"), id=f"bare-{uuid4()}", task_queue=QUEUE
        )
        await handle.result()

    return job


async def email_job(place: Lab) -> Callable[[], Awaitable[None]]:
    """Return what submits a mail and waits for its end, as an application would."""
    jobs = JobClient(await connect(address=place.server.address))

    async def job() -> None:
        submitted = await jobs.submit("email", MAIL)
        done = await jobs.wait(submitted.id)
        if done.state is not JobState.COMPLETED or (done.result or {}).get("delivery") != "sent":
            msg = f"a mail was not sent: {done}"
            raise RuntimeError(msg)

    return job


async def take_turns(
    place: Lab, contenders: Mapping[str, Contender], *, first: int
) -> dict[str, dict[str, float]]:
    """Run one round; return milliseconds per job of each contender."""
    order = [*contenders][first:] + [*contenders][:first]
    spent: dict[str, dict[str, float]] = {name: dict.fromkeys(PARTS, 0.0) for name in order}
    for _ in range(BUSY_TURNS):
        for name in order:
            used = await busy(place, contenders[name])
            for part in PARTS:
                spent[name][part] += used[part] * 1000 / (BUSY_TURNS * BUSY_JOBS)
    latencies: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(IDLE_JOBS):
        for name in order:
            began = time.perf_counter()
            await contenders[name].job()
            latencies[name].append((time.perf_counter() - began) * 1000)
    for name in order:
        spent[name]["total"] = sum(spent[name].values())
        spent[name]["idle"] = statistics.median(latencies[name])
    return spent


async def busy(place: Lab, contender: Contender) -> dict[str, float]:
    """Run some jobs at once; return the CPU seconds they took."""
    before = cpu_of(place, contender)
    await gather_at_most(BUSY_JOBS, BUSY_AT_ONCE, contender.job)
    after = cpu_of(place, contender)
    return {part: after[part] - before[part] for part in PARTS}


def cpu_of(place: Lab, contender: Contender) -> dict[str, float]:
    """Return the CPU that each part has used so far."""
    return {
        "server": cpu_s(place.server.pid),
        "worker": cpu_s(contender.worker),
        "client": time.process_time(),
    }


def rows(raw: dict[str, list[dict[str, float]]]) -> Sequence[Row]:
    """Return the ratios of email to bare."""
    bare, email = medians(raw["bare"]), medians(raw["email"])

    def row(part: str, title: str, limit: float | None) -> Row:
        detail = f"{email[part]:.1f} ms, bare {bare[part]:.1f} ms"
        numbers = {name: [entry[part] for entry in rounds] for name, rounds in raw.items()}
        ratio = email[part] / bare[part]
        return Row(name=title, value=ratio, limit=limit, detail=detail, raw=numbers)

    return [
        row("total", "email job, CPU of server, worker and client", 1.15),
        row("idle", "email job, idle, submission to end", 1.15),
        row("worker", "email job, CPU of the worker", 1.25),
        row("server", "email job, CPU of the server", None),
        row("client", "email job, CPU of the client", None),
    ]

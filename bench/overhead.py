"""What an email job costs over a bare Temporal workflow with one activity that does nothing.

Both run in turns on one server, each with a worker process of its own; mails go to a relay in
another process, which is not counted. ``busy`` rounds give CPU per job, ``idle`` ones the time from
submission to the known end, one job at a time.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.bare.steps import Ping
from bench.bare.worker import QUEUE
from bench.bare.workflow import BareWorkflow
from bench.harness import ROOT, Lab, Row, cpu_s, gather_at_most, lab, medians
from jobs.client import JobClient, connect
from jobs.status import JobState

NAME = "overhead"

WARM_UP = 30
BUSY_JOBS = 100
BUSY_AT_ONCE = 10
IDLE_JOBS = 25
MAIL = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run a job, and the worker that serves it."""

    worker: int
    job: Callable[[], Awaitable[None]]


async def run(rounds: int) -> Sequence[Row]:
    """Measure in so many interleaved rounds."""
    async with lab() as place:
        with (
            place.process("-m", "bench.sink", ready="port ") as sink,
            place.process("-m", "bench.bare.worker", ready="ready") as bare,
            place.process(
                str(ROOT / "worker.py"),
                *("--queue", "emails"),
                ready="ready",
                CONVEYOR_SMTP_URL=f"smtp://127.0.0.1:{sink.said.split()[1]}?tls=none",
            ) as emails,
        ):
            contenders = {
                "bare": Contender(bare.pid, await bare_job(place)),
                "email": Contender(emails.pid, await email_job(place)),
            }
            for contender in contenders.values():
                await gather_at_most(WARM_UP, BUSY_AT_ONCE, contender.job)
            raw: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
            for number in range(rounds):
                order = list(contenders) if number % 2 == 0 else list(reversed(contenders))
                for name in order:
                    raw[name].append(await measure(place, contenders[name]))
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


async def measure(place: Lab, contender: Contender) -> dict[str, float]:
    """Run one busy and one idle round; return milliseconds per job."""
    pids = {"server": place.server.pid, "worker": contender.worker}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    began, client_began = time.perf_counter(), time.process_time()
    await gather_at_most(BUSY_JOBS, BUSY_AT_ONCE, contender.job)
    spent = {name: (cpu_s(pid) - before[name]) * 1000 / BUSY_JOBS for name, pid in pids.items()}
    spent["client"] = (time.process_time() - client_began) * 1000 / BUSY_JOBS
    spent["total"] = sum(spent.values())
    spent["jobs a second"] = BUSY_JOBS / (time.perf_counter() - began)
    latencies = []
    for _ in range(IDLE_JOBS):
        began = time.perf_counter()
        await contender.job()
        latencies.append((time.perf_counter() - began) * 1000)
    spent["idle"] = statistics.median(latencies)
    return spent


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

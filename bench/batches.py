"""A batch of 10,000 items that do nothing, beside a workflow for each and beside other queues.

All in turns on one machine, each with a server and a worker of its own, from the first submission
to the known end of the last item. Ours runs with the options of ``worker.py``, so without the SDK's
sandbox, and keeps every item in SQLite with ``synchronous=FULL``; procrastinate's PostgreSQL runs
with ``fsync=off``, which favours it; BullMQ's Redis appends with ``appendfsync always``. A peer
that can't be had here is named and left out: Redis and procrastinate are in the dependency group
``bench``, BullMQ is installed by ``npm`` into a temporary folder.
"""

import asyncio
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg
from psycopg import sql

from adapters.storage import Storage
from bench.harness import ROOT, Lab, Plan, Row, gather_at_most, lab
from bench.peers import noop
from bench.peers.brokers import Redis
from bench.peers.contenders import environment, install_bullmq
from bench.peers.processes import Place
from jobs.client import JobClient, Submission, connect
from tests.servers import ServerMissingError, postgresql_server

NAME = "batches"
TITLE = "A batch of items that do nothing, against a workflow for each and against other queues"

ITEMS: Final = 10_000
JOBS: Final = 300
"""As workflows of their own; 10,000 would take minutes."""
PROCRASTINATES: Final = 2_000
"""The same; its rate does not grow with their number."""
AT_ONCE: Final = 100
SUBMITTED_AT_ONCE: Final = 20
MOST_EVENTS: Final = 0.06

Contender = Callable[[], Awaitable[float]]
"""Returns items a second."""


async def run(plan: Plan) -> Sequence[Row]:
    """Measure in so many interleaved rounds."""
    noop.register()
    async with lab() as place:
        with ExitStack() as stack:
            stack.enter_context(place.process("-m", "bench.peers.noop", ready="ready"))
            events: list[float] = []
            contenders = await ours(place, events)
            missing = {}
            for name, open_peer in (("procrastinate", procrastinate), ("BullMQ", bullmq)):
                try:
                    contenders[name] = stack.enter_context(open_peer(place.folder))
                except ServerMissingError as error:
                    missing[name] = str(error)
            rates: dict[str, list[float]] = {name: [] for name in contenders}
            for number in range(plan.rounds + 1):  # the first round warms up
                for name, contender in contenders.items():
                    rate = await contender()
                    if number:
                        rates[name].append(rate)
    return rows(rates, events, missing)


async def ours(place: Lab, events: list[float]) -> dict[str, Contender]:
    """Return the batch, and a workflow for each item."""
    client = await connect(address=place.server.address)
    jobs = JobClient(client)
    lines = "".join(f"{json.dumps({'number': number})}\n" for number in range(ITEMS))
    storage = Storage.open(f"file://{place.folder / 'data' / 'storage'}")
    await storage.put("noops.jsonl", lines.encode())

    async def batch() -> float:
        began = time.perf_counter()
        data = {"kind": "noop", "items_source": "noops.jsonl", "window": AT_ONCE}
        submitted = await jobs.submit("batch", data, Submission(key=uuid4().hex))
        done = await jobs.wait(submitted.id)
        took = time.perf_counter() - began
        if done.result is None or done.result["completed"] != ITEMS:
            raise RuntimeError(done)
        history = await client.get_workflow_handle(done.id).fetch_history()
        events.append(len(history.events) / ITEMS)
        return ITEMS / took

    async def workflows() -> float:
        numbers = iter(range(JOBS))

        async def job() -> None:
            submitted = await jobs.submit("noop", {"number": next(numbers)})
            await jobs.wait(submitted.id)

        began = time.perf_counter()
        await gather_at_most(JOBS, SUBMITTED_AT_ONCE, job)
        return JOBS / (time.perf_counter() - began)

    return {"batch": batch, "workflows": workflows}


@contextmanager
def procrastinate(_: Path) -> Iterator[Contender]:
    """Yield what runs as many jobs of procrastinate, each time in a new database.

    Raises:
        ServerMissingError: it, or PostgreSQL, is not here.
    """
    if importlib.util.find_spec("procrastinate") is None:
        msg = "no procrastinate: install the dependency group `bench`"
        raise ServerMissingError(msg)
    with postgresql_server() as socket_folder:

        async def work() -> float:
            name = f"b_{uuid4().hex[:12]}"
            with psycopg.connect(
                f"postgresql://postgres@/postgres?host={socket_folder}", autocommit=True
            ) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            url = f"postgresql://postgres@/{name}?host={socket_folder}"
            module, jobs = "bench.peers.procrastinate_jobs", PROCRASTINATES
            arguments = ("-m", module, url, str(jobs), str(AT_ONCE))
            return jobs / await seconds(sys.executable, *arguments)

        yield work


@contextmanager
def bullmq(folder: Path) -> Iterator[Contender]:
    """Yield what runs as many jobs of BullMQ.

    Raises:
        ServerMissingError: Redis, node or the packages are not here.
    """
    here = folder / "bullmq"
    here.mkdir()
    place = Place(here, environment())
    redis = Redis.at(place, strict=True)
    script = install_bullmq(here) / "bullmq.mjs"
    with place.stack:
        redis.start()

        async def work() -> float:
            options = (str(redis.port), str(ITEMS), str(AT_ONCE))
            return ITEMS / await seconds("node", str(script), *options)

        yield work


async def seconds(*command: str) -> float:
    """Run a peer's program and return how long it says that it took."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    for line in out.decode().splitlines():
        if line.startswith("took "):
            return float(line.removeprefix("took "))
    msg = f"{command[0]} did not say how long it took:\n{err.decode()[-2000:]}"
    raise RuntimeError(msg)


def rows(
    rates: Mapping[str, Sequence[float]], events: Sequence[float], missing: Mapping[str, str]
) -> Sequence[Row]:
    """Return ratios of items a second, batch to each other, by pairs of a round."""
    batch = rates["batch"]
    found = [
        Row(
            name="history events an item of a batch",
            value=statistics.median(events),
            limit=MOST_EVENTS,
            unit="",
            raw={"events": list(events)},
        )
    ]
    titles = {"workflows": "a workflow for each item", "procrastinate": "", "BullMQ": ""}
    for name, title in titles.items():
        if name not in rates:
            why = missing.get(name, "")
            found.append(Row(name=f"items a second, batch : {name}", value=0, detail=why))
            continue
        theirs = rates[name]
        found.append(
            Row(
                name=f"items a second, batch : {title or name}",
                value=statistics.median(a / b for a, b in zip(batch, theirs, strict=True)),
                limit=1,
                at_least=True,
                detail=f"{statistics.median(batch):,.0f} : {statistics.median(theirs):,.0f}",
                raw={"batch": list(batch), name: list(theirs)},
            )
        )
    return found

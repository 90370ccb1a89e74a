"""Running workers until told to stop: probes, banner, the two signals."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from aiohttp import web
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from cli.temporal_server import TemporalServer
from jobs import kinds
from jobs._version import __version__
from jobs.base import Queue
from jobs.client.queues import QueueStatus
from jobs.errors import InvalidInputError, Problem
from jobs.limits import rate_words
from jobs.times import parse_duration
from jobs.validation import nearest
from settings import Settings

DEPLOYMENT: Final = "conveyor"
LONGEST_STAY: Final = timedelta(days=1)
"""How long old workers may have to run beside new ones."""
DRAIN_INTERVAL_S: Final = 1.0
HEALTH_TIMEOUT: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks of this worker."""

    queues: Sequence[Queue]
    slots: Mapping[str, int]
    grace: timedelta
    drain: bool = False
    check: bool = False
    probe_port: int | None = None
    metrics_port: int | None = None
    build_id: str | None = None

    @classmethod
    def parse(
        cls, *, queue: str, slots: str, grace: str, default_grace: timedelta, **others: Any
    ) -> Self:
        """Read the options as they are typed.

        Raises:
            InvalidInputError: a queue or a number is none.
        """
        return cls(
            queues=_queues(queue),
            slots=_slots(slots),
            grace=parse_duration("shutdown-grace", grace) if grace else default_grace,
            **others,
        )


def _queues(text: str) -> Sequence[Queue]:
    names = list(Queue) if text == "all" else [name.strip() for name in text.split(",")]
    return [_queue("queue", name) for name in names]


def _queue(option: str, name: str) -> Queue:
    try:
        return Queue(name)
    except ValueError:
        problem = Problem(option, f"no queue {name!r}; {nearest(name, list(Queue))}")
        raise InvalidInputError([problem]) from None


def _slots(text: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for pair in filter(None, text.split(",")):
        name, _, number = pair.partition("=")
        if not number.isdigit() or int(number) < 1:
            raise InvalidInputError([Problem("slots", f"{pair!r}: write QUEUE=NUMBER, images=2")])
        found[_queue("slots", name.strip())] = int(number)
    return found


def deployment(options: Options, queue: Queue) -> WorkerDeploymentConfig | None:
    """Return the versioning of a queue's worker, if it is versioned.

    Jobs stay on the build that began them, which must run until the last is done. Where a kind of
    the queue may be open for longer than ``LONGEST_STAY``, the queue's jobs move to the current
    build with their next step.
    """
    if options.build_id is None:
        return None
    deadlines = [kind.deadline for kind in kinds.ALL if kind.queue is queue]
    moves = max(deadlines, default=LONGEST_STAY) > LONGEST_STAY
    # Not in the workflows' definitions: a server refuses it there from unversioned workers.
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, options.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=(
            VersioningBehavior.AUTO_UPGRADE if moves else VersioningBehavior.PINNED
        ),
    )


async def serve(
    workers: Sequence[Worker],
    *,
    stop: asyncio.Event,
    grace: timedelta,
    running: Callable[[], Collection[str]],
    say: Callable[[str], None],
    server: asyncio.Task[None] | None = None,
) -> None:
    """Run ``workers`` until ``stop``; then let running steps finish within the grace.

    Raises:
        Exception: whatever a worker, or the task that keeps the ``server`` up, died of.
    """
    async with AsyncExitStack() as stack:
        tasks = {asyncio.create_task(worker.run()) for worker in workers}
        stack.push_async_callback(_end, workers, tasks)
        stopped = asyncio.create_task(stop.wait())
        kept = {server} if server is not None else set()
        done, _ = await asyncio.wait({stopped, *tasks, *kept}, return_when=asyncio.FIRST_COMPLETED)
        if stopped not in done:
            stopped.cancel()
            for lost in done & kept:
                await lost
        elif steps := sorted(running()):
            say(
                f"stopping: {len(steps)} steps run on for at most {grace.total_seconds():g} s "
                f"({', '.join(steps)}); what is not done then is handed to another worker"
            )
        else:
            say("stopping: nothing runs")


async def _end(workers: Sequence[Worker], tasks: set[asyncio.Task[None]]) -> None:
    # Also those that have only begun to start, which are not "running": a stop that comes then must
    # not be lost. For one that is over already it changes nothing.
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*tasks)


async def drain(client: Client, queues: Sequence[Queue], stop: asyncio.Event) -> None:
    """Set ``stop`` when no open job of ``queues`` is due any more."""
    names = ", ".join(f"'{queue}'" for queue in queues)
    while not stop.is_set():
        await asyncio.sleep(DRAIN_INTERVAL_S)
        now = datetime.now(UTC).isoformat()
        due = await client.count_workflows(
            f"TaskQueue IN ({names}) AND ExecutionStatus = 'Running' AND ExecutionTime <= '{now}'"
        )
        if due.count == 0:
            stop.set()


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let the first SIGTERM or SIGINT set ``stop`` and the second one leave at once."""
    loop = asyncio.get_running_loop()

    def first_or_second(number: int) -> None:
        if stop.is_set():
            sys.stderr.write("leaving now\n")
            sys.stderr.flush()
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first_or_second, number)


async def serve_probes(
    client: Client, workers: Sequence[Worker], host: str, port: int
) -> web.AppRunner:
    """Serve ``/livez`` (the loop turns) and ``/readyz`` (workers poll, the server answers).

    Raises:
        InvalidInputError: the port is taken, or the address is none of this machine.
    """

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def ready(_: web.Request) -> web.Response:
        polling = all(worker.is_running for worker in workers)
        try:
            healthy = polling and await client.service_client.check_health(timeout=HEALTH_TIMEOUT)
        except RuntimeError:
            healthy = False
        return web.Response(status=200 if healthy else 503, text=f"ready: {healthy}\n")

    app = web.Application()
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        fix = f"{port} is taken, or not this user's to take: choose another port"
        if error.errno == errno.EADDRNOTAVAIL:
            fix = f"{host} is no address of this machine: set CONVEYOR_PROBE_HOST to one"
        raise InvalidInputError([Problem("probe-port", fix)]) from None
    return runner


def banner(
    client: Client,
    server: TemporalServer,
    settings: Settings,
    options: Options,
    slots: Mapping[Queue, int],
    queues: Sequence[QueueStatus],
) -> str:
    """Return what this worker is and does, for people."""
    kind_names = {
        queue: ", ".join(kind.name for kind in kinds.ALL if kind.queue is queue)
        for queue in options.queues
        if any(kind.queue is queue for kind in kinds.ALL)
    }
    lines = [
        f"Conveyor {__version__} worker",
        f"  server     {server.address}{' (embedded)' if server.embedded else ''}",
        f"  namespace  {client.namespace}",
    ]
    if server.ui:
        lines.append(f"  web UI     {server.ui}")
    limits = {status.name: _limit_words(status) for status in queues}
    for queue, names in kind_names.items():
        lines.append(f"  queue      {queue}: {names} ({slots[queue]} at once{limits[queue]})")
    lines.append(
        f"  mail       {'relay' if settings.smtp_url else f'.eml files in {settings.outbox}'}"
    )
    lines.append(f"  encryption {_encryption_words(settings)}")
    return "\n".join(lines)


def _encryption_words(settings: Settings) -> str:
    if not settings.encryption:
        return "none"
    writing, *others = (key.id for key in settings.encryption)
    return f"key {writing}" + (f", also reads {', '.join(others)}" if others else "")


def _limit_words(status: QueueStatus) -> str:
    if status.paused:
        return f", paused: {status.reason}"
    return f", at most {rate_words(status.rate)}" if status.rate else ""

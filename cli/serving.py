"""Running workers until told to stop: probes, banner, the two signals."""

import asyncio
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, Protocol

from aiohttp import web
from temporalio.client import Client
from temporalio.worker import Worker

CRASHED: Final = 1
HEALTH_TIMEOUT: Final = timedelta(seconds=2)


class Stopping(Protocol):
    """The signals that have arrived."""

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        ...


async def serve(
    workers: Sequence[Worker],
    *,
    stop: asyncio.Event,
    grace: timedelta,
    running: Callable[[], Collection[str]],
    say: Callable[[str], None],
) -> None:
    """Run ``workers`` until ``stop``; then let running steps finish within the grace.

    Raises:
        Exception: whatever a worker died of.
    """
    async with AsyncExitStack() as stack:
        tasks = {asyncio.create_task(worker.run()) for worker in workers}
        stack.push_async_callback(_end, workers, tasks)
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if stopped not in done:
            stopped.cancel()
        elif steps := sorted(running()):
            say(
                f"stopping: {len(steps)} steps run on for at most {grace.total_seconds():g} s "
                f"({', '.join(steps)}); what is not done then is handed to another worker"
            )
        else:
            say("stopping: nothing runs")


async def _end(workers: Sequence[Worker], tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.gather(*(worker.shutdown() for worker in workers if worker.is_running))
    await asyncio.gather(*tasks)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let the first SIGTERM or SIGINT set ``stop`` and the second one leave at once."""
    loop = asyncio.get_running_loop()

    def first_or_second(number: int) -> None:
        if stop.is_set():
            sys.stderr.write("leaving now\n")
            sys.stderr.flush()
            import os

            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first_or_second, number)


async def serve_probes(client: Client, workers: Sequence[Worker], port: int) -> web.AppRunner:
    """Serve ``/livez`` (the loop turns) and ``/readyz`` (workers poll, the server answers)."""

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
    await web.TCPSite(runner, port=port).start()
    return runner

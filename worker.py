"""Run the steps of jobs: ``python worker.py``.

The door: options, opening, the run until a signal. What it runs is joined in ``wiring.py``.
"""

import os
import signal

from exits import require_libraries, run_to_exit

STOPPED_BEFORE_START = 0


def _leave_early(*_: object) -> None:
    """Nothing has begun yet, so a stop during the imports below is a clean one."""
    os._exit(STOPPED_BEFORE_START)


if __name__ == "__main__":  # before the imports, which take a second
    signal.signal(signal.SIGTERM, _leave_early)
    signal.signal(signal.SIGINT, _leave_early)
    require_libraries()

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Annotated, Final

import typer
from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

import settings as environment
from activities.interceptor import StepInterceptor
from activities.measuring import StepMetrics
from adapters import telemetry
from adapters.codec import open_codec
from adapters.tracing import open_tracing
from cli import serving
from cli.measuring import begin_at_zero, measure_queues
from cli.output import say
from cli.serving import Options
from cli.temporal_server import temporal_server
from equipment import Adapters, open_adapters
from jobs._version import __version__
from jobs.base import Queue
from jobs.client import connect
from jobs.client.limits import apply_rates
from jobs.client.pruning import ensure_prune
from jobs.client.queues import queue_statuses
from jobs.client.webhooks import ensure_sweep
from opening import secret_key
from settings import Settings
from wiring import work_of_queues
from workflows.interceptor import FinalFailureInterceptor
from workflows.measuring import JobMetrics

STICKY_TIMEOUT: Final = timedelta(seconds=3)
"""How long a killed worker's workflows wait for it before another takes them."""
HEARTBEAT_INTERVAL: Final = timedelta(seconds=1)
"""How often progress is sent, and cancellation noticed."""

DEFAULT_SLOTS: Final[Mapping[Queue, int]] = {
    Queue.EMAILS: 5,
    Queue.IMAGES: 2,
    Queue.WEBHOOKS: 20,
    Queue.REPORTS: 2,
    Queue.TRANSFERS: 2,
    Queue.BATCHES: 10,
}


def slots_of(settings: Settings, options: Options) -> Mapping[Queue, int]:
    """Return how many steps of each queue run at once; the command line wins."""
    chosen = {**settings.slots, **options.slots}
    return {queue: chosen.get(queue, DEFAULT_SLOTS[queue]) for queue in Queue}


def build_workers(
    client: Client,
    adapters: Adapters,
    options: Options,
    slots: Mapping[Queue, int],
    interceptors: Sequence[Interceptor],
) -> list[Worker]:
    """Return a worker for each of the queues that has work."""
    work = work_of_queues(adapters, client)
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=work[queue].workflows,
            activities=work[queue].activities,
            workflow_runner=UnsandboxedWorkflowRunner(),  # see docs/decisions/sandbox.md
            interceptors=interceptors,
            max_concurrent_activities=slots[queue],
            disable_eager_activity_execution=True,  # an eager step passes by limits and pauses
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=options.grace,
            deployment_config=serving.deployment(options, queue),
        )
        for queue in options.queues
        if queue in work
    ]


async def run(settings: Settings, options: Options) -> None:
    """Serve until a signal asks to stop, or with ``drain`` until no open job is left.

    Raises:
        ServerUnreachableError: no server answers, and none can be started here.
        SettingsError: a setting can't be used.
    """
    stop = asyncio.Event()
    serving.stop_on_signals(stop)
    runtime = telemetry.open_runtime(str(settings.metrics_host), options.metrics_port)
    tracing = open_tracing("conveyor-worker")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.close)
        server = await stack.enter_async_context(temporal_server(settings.data_dir, runtime))
        client = await connect(
            fallback_address=server.address,
            runtime=runtime,
            codec=open_codec(settings.encryption),
            interceptors=tracing.interceptors,
        )
        slots = slots_of(settings, options)
        opened = open_adapters(
            settings, emails_at_once=slots[Queue.EMAILS], images_at_once=slots[Queue.IMAGES]
        )
        adapters = await stack.enter_async_context(opened)
        if Queue.IMAGES in options.queues:
            await adapters.image_pool.warm()
        if Queue.WEBHOOKS in options.queues and not options.check:
            await ensure_sweep(client)
        if Queue.BATCHES in options.queues and not options.check:
            await ensure_prune(client)
        steps = StepInterceptor()
        measured = (StepMetrics(runtime.metric_meter), JobMetrics())
        workers = build_workers(
            client, adapters, options, slots, (*measured, steps, FinalFailureInterceptor())
        )
        if not options.check:
            await apply_rates(client, settings.rates)
        queues = await queue_statuses(client)
        say(serving.banner(client, server, settings, options, slots, queues))
        if options.check:
            return
        if options.metrics_port is not None:
            begin_at_zero(runtime.metric_meter, client.namespace, options.queues)
            looking = measure_queues(client, runtime.metric_meter, options.queues)
            stack.callback(asyncio.create_task(looking).cancel)
        if options.probe_port is not None:
            probes = await serving.serve_probes(
                client, workers, str(settings.probe_host), options.probe_port
            )
            stack.push_async_callback(probes.cleanup)
        if options.drain:
            drained = asyncio.create_task(serving.drain(client, options.queues, stop))
            stack.callback(drained.cancel)
        say("ready")
        await serving.serve(
            workers,
            stop=stop,
            grace=options.grace,
            running=lambda: steps.running,
            say=say,
            server=server.keeper,
        )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    queue: Annotated[
        str, typer.Option(help="Queues to serve, emails,images or all.", envvar="CONVEYOR_QUEUES")
    ] = "all",
    slots: Annotated[str, typer.Option(help="Steps at once, emails=5,images=2.")] = "",
    drain: Annotated[bool, typer.Option(help="Stop when no open job is due.")] = False,
    check: Annotated[bool, typer.Option(help="Open everything, say so, and leave.")] = False,
    shutdown_grace: Annotated[
        str, typer.Option(help="How long running steps may finish, 30s.")
    ] = "",
    probe_port: Annotated[
        int | None,
        typer.Option(
            help="Port for /livez and /readyz, at CONVEYOR_PROBE_HOST.", min=0, max=65_535
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Port for Prometheus metrics, at CONVEYOR_METRICS_HOST.", min=0, max=65_535
        ),
    ] = None,
    log_format: Annotated[str, typer.Option(help="auto, text or json.")] = "auto",
    versioned: Annotated[bool, typer.Option(help="Take part in Worker Versioning.")] = False,
    build_id: Annotated[str, typer.Option(help="This build, with --versioned.")] = __version__,
) -> None:
    """Run the steps of jobs until told to stop.

    With no TEMPORAL_ADDRESS and no server on this machine, an embedded one is started as well.
    """
    settings = environment.load()
    logs = telemetry.log_format(log_format)
    telemetry.set_up_logging(logs, secret=secret_key(settings))
    options = Options.parse(
        queue=queue,
        slots=slots,
        grace=shutdown_grace,
        default_grace=settings.shutdown_grace,
        drain=drain,
        check=check,
        probe_port=probe_port,
        metrics_port=metrics_port,
        build_id=build_id if versioned else None,
    )
    asyncio.run(run(settings, options))


def entry() -> None:
    """Run the command line and leave with its exit code."""
    run_to_exit(app)


if __name__ == "__main__":
    entry()

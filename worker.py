"""Run the steps of jobs: ``python worker.py``.

The only module that joins workflows, activities and adapters.
"""

import os
import signal
import sys

STOPPED_BEFORE_START = 0


def _leave_early(*_: object) -> None:
    """Nothing has begun yet, so a stop during the imports below is a clean one."""
    os._exit(STOPPED_BEFORE_START)


if __name__ == "__main__":  # before the imports, which take a second
    signal.signal(signal.SIGTERM, _leave_early)
    signal.signal(signal.SIGINT, _leave_early)

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import settings as environment
from activities.failures import FailureActivities
from activities.interceptor import StepInterceptor
from adapters import devserver, telemetry
from adapters.database import Database, migrate, pending
from adapters.storage import Storage
from cli import serving
from cli.exits import run_to_exit
from cli.serving import Options
from jobs import kinds
from jobs._version import __version__
from jobs.base import JobKind, Queue
from jobs.client import connect, connection, reading
from settings import Settings, SettingsError
from workflows.interceptor import FinalFailureInterceptor

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


@dataclass(frozen=True, slots=True)
class Wiring:
    """One kind: its truth, its workflow, and its steps over open adapters."""

    kind: JobKind[Any, Any]
    workflow: type
    activities: Sequence[Callable[..., object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Everything open that steps need."""

    settings: Settings
    storage: Storage
    database: Database


def wire(adapters: Adapters) -> Sequence[Wiring]:
    """Join every kind to its workflow and its steps."""
    return ()


@asynccontextmanager
async def open_adapters(settings: Settings) -> AsyncIterator[Adapters]:
    """Open everything that steps need, and close it afterwards.

    Raises:
        SettingsError: the database lacks migrations, or an address can't be used.
    """
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        await migrate(settings.database)
    elif missing := await pending(settings.database):
        msg = (
            f"CONVEYOR_DATABASE_URL: the database lacks {len(missing)} migrations "
            f"({', '.join(missing)}): run `python starter.py setup`"
        )
        raise SettingsError(msg)
    async with AsyncExitStack() as stack:
        database = Database.open(settings.database, pool_size=settings.database_pool_size)
        stack.push_async_callback(database.close)
        yield Adapters(
            settings=settings,
            database=database,
            storage=Storage.open(settings.storage, **settings.storage_options),
        )


def slots_of(settings: Settings, options: Options) -> Mapping[Queue, int]:
    """Return how many steps of each queue run at once; the command line wins."""
    chosen = {**settings.slots, **options.slots}
    return {queue: chosen.get(queue, DEFAULT_SLOTS[queue]) for queue in Queue}


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """The server that this worker polls."""

    address: str
    ui: str | None = None
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class JobHistory:
    """Reads attempts for reports of final failures."""

    client: Client

    async def attempts(self, job_id: str, run_id: str) -> int:
        """Return the attempts of the job's last step."""
        return await reading.last_attempt(self.client, job_id, run_id)


def build_workers(
    client: Client,
    adapters: Adapters,
    options: Options,
    steps: StepInterceptor,
) -> list[Worker]:
    """Return a worker for each queue that has a kind."""
    failures = FailureActivities(telemetry.LogReporter(), JobHistory(client))
    wiring = wire(adapters)
    slots = slots_of(adapters.settings, options)
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=[wired.workflow for wired in wiring if wired.kind.queue is queue],
            activities=[
                *failures.all(),
                *(
                    step
                    for wired in wiring
                    if wired.kind.queue is queue
                    for step in wired.activities
                ),
            ],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules(
                    "jobs", "activities"
                )
            ),
            interceptors=[steps, FinalFailureInterceptor()],
            max_concurrent_activities=slots[queue],
            max_task_queue_activities_per_second=adapters.settings.rates.get(queue),
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=options.grace,
            deployment_config=serving.deployment(options),
        )
        for queue in options.queues
        if any(wired.kind.queue is queue for wired in wiring)
    ]


async def run(settings: Settings, options: Options) -> None:
    """Serve until a signal asks to stop, or with ``drain`` until no open job is left.

    Raises:
        ServerUnreachableError: no server answers, and none can be started here.
        SettingsError: a setting can't be used.
    """
    stop = asyncio.Event()
    serving.stop_on_signals(stop)
    metrics = f"127.0.0.1:{options.metrics_port}" if options.metrics_port else None
    runtime = telemetry.open_runtime(metrics)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(temporal_server(settings.data_dir, runtime))
        client = await connect(fallback_address=server.address, runtime=runtime)
        adapters = await stack.enter_async_context(open_adapters(settings))
        steps = StepInterceptor()
        workers = build_workers(client, adapters, options, steps)
        say(banner(client, server, settings, options))
        if options.check:
            return
        if options.probe_port is not None:
            probes = await serving.serve_probes(client, workers, options.probe_port)
            stack.push_async_callback(probes.cleanup)
        if options.drain:
            drained = asyncio.create_task(serving.drain(client, options.queues, stop))
            stack.callback(drained.cancel)
        say("ready")
        await serving.serve(
            workers, stop=stop, grace=options.grace, running=lambda: steps.running, say=say
        )


@asynccontextmanager
async def temporal_server(data_dir: Path, runtime: Runtime) -> AsyncIterator[TemporalServer]:
    """Find the Temporal server, or run the embedded one until this process ends.

    Yields the one that ``TEMPORAL_*`` names; else the embedded one of the data folder, where a
    process already runs it; else whatever listens on the default address; else a new embedded one.
    """
    if (address := connection.configured_address()) is not None:
        yield TemporalServer(address)
    elif (running := devserver.running(data_dir)) is not None:
        yield TemporalServer(running.address, running.ui)
    elif devserver.listening(connection.DEFAULT_ADDRESS):
        yield TemporalServer(connection.DEFAULT_ADDRESS)
    else:
        async with await devserver.ensure(data_dir, runtime=runtime) as embedded:
            keeper = asyncio.create_task(embedded.keep_alive())
            try:
                yield TemporalServer(embedded.server.address, embedded.server.ui, embedded=True)
            finally:
                keeper.cancel()


def banner(client: Client, server: TemporalServer, settings: Settings, options: Options) -> str:
    """Return what this worker is and does, for people."""
    kind_names = {
        queue: ", ".join(kind.name for kind in kinds.ALL if kind.queue is queue)
        for queue in options.queues
    }
    slots = slots_of(settings, options)
    lines = [
        f"Conveyor {__version__} worker",
        f"  server     {server.address}{' (embedded)' if server.embedded else ''}",
        f"  namespace  {client.namespace}",
    ]
    if server.ui:
        lines.append(f"  web UI     {server.ui}")
    for queue, names in kind_names.items():
        rate = settings.rates.get(queue)
        limit = f", at most {rate * 60:g} steps a minute" if rate else ""
        lines.append(f"  queue      {queue}: {names} ({slots[queue]} at once{limit})")
    lines.append(
        f"  mail       {'relay' if settings.smtp_url else f'.eml files in {settings.outbox}'}"
    )
    return "\n".join(lines)


def say(text: str) -> None:
    """Tell people, on standard error; standard output is for data."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


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
    probe_port: Annotated[int | None, typer.Option(help="Serve /livez and /readyz there.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics there.")
    ] = None,
    log_format: Annotated[str, typer.Option(help="auto, text or json.")] = "auto",
    versioned: Annotated[bool, typer.Option(help="Take part in Worker Versioning.")] = False,
    build_id: Annotated[str, typer.Option(help="This build, with --versioned.")] = __version__,
) -> None:
    """Run the steps of jobs until told to stop.

    With no TEMPORAL_ADDRESS and no server on this machine, an embedded one is started as well.
    """
    settings = environment.load()
    telemetry.set_up_logging(telemetry.log_format(log_format))
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

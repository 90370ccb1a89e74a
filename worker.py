"""Run the steps of jobs: ``python worker.py``.

The only module that joins workflows, activities and adapters.
"""

import os
import signal

STOPPED_BEFORE_START = 0


def _leave_early(*_: object) -> None:
    """Nothing has begun yet, so a stop during the imports below is a clean one."""
    os._exit(STOPPED_BEFORE_START)


if __name__ == "__main__":  # before the imports, which take a second
    signal.signal(signal.SIGTERM, _leave_early)
    signal.signal(signal.SIGINT, _leave_early)

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import typer
from temporalio.client import Client
from temporalio.worker import Interceptor, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import settings as environment
from activities import handlers
from activities.alerts import AlertActivities
from activities.batches import BatchActivities
from activities.deliveries import DeliveryActivities
from activities.emails import EmailActivities
from activities.events import EventActivities
from activities.exports import ExportActivities
from activities.failures import FailureActivities
from activities.handlers.registry import Handlers
from activities.handlers.tools import Tools
from activities.images import ImageActivities
from activities.imports import ImportActivities
from activities.interceptor import StepInterceptor
from activities.mailings import MailingActivities
from activities.measuring import StepMetrics
from activities.places import PlaceActivities
from activities.queues import QueueActivities
from activities.redrives import RedriveActivities
from activities.reports import ReportActivities
from activities.schedules import ScheduleActivities
from activities.webhooks import WebhookActivities
from adapters import telemetry
from adapters.codec import open_codec
from adapters.database.batches import BatchLedger
from adapters.database.emails import EmailLedger
from adapters.database.images import Images
from adapters.database.mailings import MailingLedger, Recipients
from adapters.database.password_resets import PasswordResets
from adapters.database.reports import ReportSource
from adapters.database.transfers import Exports, Imports
from adapters.database.users import Users
from adapters.database.webhooks.deliveries import DeliveryLog
from adapters.database.webhooks.effects import OrderBook, PushLog
from adapters.database.webhooks.events import Events
from adapters.database.webhooks.inbound import InboundEvents
from adapters.reports.renderer import ReportRenderer
from adapters.tracing import open_tracing
from adapters.transfers import SourceFiles, open_writer
from cli import serving
from cli.exits import run_to_exit
from cli.measuring import begin_at_zero, measure_queues
from cli.output import say
from cli.serving import Options
from cli.temporal_server import temporal_server
from equipment import Adapters, open_adapters, pruning_over
from jobs._version import __version__
from jobs.base import JobKind, Queue
from jobs.batches import BATCH
from jobs.client import JobClient, connect, reading
from jobs.client.holding import count_held
from jobs.client.limits import QueueKeeper, apply_rates
from jobs.client.places import JobsOnServer
from jobs.client.pruning import ensure_prune
from jobs.client.queues import queue_statuses
from jobs.client.redriver import Redriver
from jobs.client.webhooks import ensure_sweep
from jobs.deliveries import DELIVERY
from jobs.emails import EMAIL
from jobs.events import EVENT
from jobs.exports import EXPORT
from jobs.holds import AlertRecipients
from jobs.images import IMAGE
from jobs.imports import IMPORT
from jobs.mailings import MAILING
from jobs.reminders import REMINDER
from jobs.reports import REPORT
from jobs.schedules.client import ScheduleClient
from jobs.webhooks import WEBHOOK
from opening import secret_key
from settings import Settings
from workflows.alerts import AlertOfHoldWorkflow
from workflows.batches import RunBatchWorkflow
from workflows.deliveries import DeliverWebhookWorkflow
from workflows.emails import SendEmailWorkflow
from workflows.events import PublishEventWorkflow
from workflows.exports import ExportDataWorkflow
from workflows.images import ProcessImageWorkflow
from workflows.imports import ImportDataWorkflow
from workflows.interceptor import FinalFailureInterceptor
from workflows.mailings import SendMailingWorkflow
from workflows.measuring import JobMetrics
from workflows.places import KeepPlacesWorkflow
from workflows.pruning import PruneWorkflow
from workflows.queues import EndPauseWorkflow
from workflows.redrives import RedriveWorkflow
from workflows.reminders import SendReminderWorkflow
from workflows.reports import DailyReportsWorkflow, GenerateReportWorkflow
from workflows.schedules import RaiseAlertWorkflow, WatchSchedulesWorkflow
from workflows.webhooks import ProcessWebhookWorkflow, SweepWebhooksWorkflow

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


SYSTEM_WORKFLOWS: Final[Mapping[Queue, Sequence[type]]] = {
    Queue.WEBHOOKS: (SweepWebhooksWorkflow,),
    Queue.REPORTS: (DailyReportsWorkflow, WatchSchedulesWorkflow, RaiseAlertWorkflow),
    Queue.BATCHES: (RedriveWorkflow, PruneWorkflow),
}
"""Workflows that no one submits."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """One kind: its truth, its workflow, and its steps over open adapters."""

    kind: JobKind[Any, Any]
    workflow: type
    activities: Sequence[Callable[..., object]]


def wire(adapters: Adapters, client: Client) -> Sequence[Wiring]:
    """Join every kind to its workflow and its steps."""
    emails = email_steps(adapters)
    return (
        *wire_emails(adapters, emails),
        *wire_images(adapters),
        *wire_webhooks(adapters),
        *wire_reports(adapters),
        *wire_transfers(adapters),
        wire_batches(adapters, client, emails),
    )


def email_steps(adapters: Adapters) -> EmailActivities:
    """Return the steps of mails, which batches of mails do too."""
    return EmailActivities(
        mailer=adapters.mailer,
        composer=adapters.composer,
        ledger=EmailLedger(adapters.database),
        resets=PasswordResets(adapters.database),
        users=Users(adapters.database),
        files=adapters.storage,
        tokens=adapters.mail_tokens,
        public_url=adapters.settings.public_url,
    )


def wire_emails(adapters: Adapters, emails: EmailActivities) -> Sequence[Wiring]:
    """Join the kinds that send mail."""
    mailings = MailingActivities(
        mailer=adapters.mailer,
        composer=adapters.composer,
        ledger=MailingLedger(adapters.database),
        directory=Recipients(adapters.database),
        files=adapters.storage,
        tokens=adapters.mail_tokens,
    )
    return (
        Wiring(EMAIL, SendEmailWorkflow, emails.all()),
        Wiring(REMINDER, SendReminderWorkflow, ()),
        Wiring(MAILING, SendMailingWorkflow, mailings.all()),
    )


def wire_images(adapters: Adapters) -> Sequence[Wiring]:
    """Join the kind that processes pictures."""
    images = ImageActivities(
        storage=adapters.storage,
        engine=adapters.image_pool,
        scratch=adapters.scratch,
        catalog=Images(adapters.database),
        max_bytes=adapters.settings.image_max_bytes,
        remote_storage=adapters.settings.storage.startswith("s3:"),
    )
    return (Wiring(IMAGE, ProcessImageWorkflow, images.all()),)


def wire_webhooks(adapters: Adapters) -> Sequence[Wiring]:
    """Join the kinds that bring events out and in."""
    database = adapters.database
    published = Events(database)
    deliveries = DeliveryActivities(
        log=DeliveryLog(database, adapters.webhook_secrets), sender=adapters.webhook_sender
    )
    events = EventActivities(
        log=published, files=adapters.storage, public_url=adapters.settings.public_url
    )
    webhooks = WebhookActivities(
        store=InboundEvents(database),
        published=published,
        bodies=adapters.storage,
        handlers=Handlers(handlers.ALL),
        tools=Tools(pushes=PushLog(database), orders=OrderBook(database)),
    )
    return (
        Wiring(EVENT, PublishEventWorkflow, events.all()),
        Wiring(DELIVERY, DeliverWebhookWorkflow, deliveries.all()),
        Wiring(WEBHOOK, ProcessWebhookWorkflow, webhooks.all()),
    )


def wire_reports(adapters: Adapters) -> Sequence[Wiring]:
    """Join the kind that makes reports."""
    reports = ReportActivities(
        source=ReportSource(adapters.database),
        renderer=ReportRenderer(adapters.settings.product_name),
        files=adapters.storage,
        time_zone=adapters.settings.time_zone,
    )
    return (Wiring(REPORT, GenerateReportWorkflow, reports.all()),)


def wire_transfers(adapters: Adapters) -> Sequence[Wiring]:
    """Join the kinds that bring rows in and out."""
    imports = ImportActivities(adapters.storage, SourceFiles(), Imports(adapters.database))
    exports = ExportActivities(adapters.storage, Exports(adapters.database), open_writer)
    return (
        Wiring(IMPORT, ImportDataWorkflow, imports.all()),
        Wiring(EXPORT, ExportDataWorkflow, exports.all()),
    )


def wire_batches(adapters: Adapters, client: Client, emails: EmailActivities) -> Wiring:
    """Join the kind whose items are jobs of others, and name what does items in chunks."""
    batches = BatchActivities(
        ledger=BatchLedger(adapters.database),
        files=adapters.storage,
        jobs=JobClient(client),
        performers={EMAIL.name: emails.perform},
    )
    return Wiring(BATCH, RunBatchWorkflow, batches.all())


def slots_of(settings: Settings, options: Options) -> Mapping[Queue, int]:
    """Return how many steps of each queue run at once; the command line wins."""
    chosen = {**settings.slots, **options.slots}
    return {queue: chosen.get(queue, DEFAULT_SLOTS[queue]) for queue in Queue}


@dataclass(frozen=True, slots=True)
class JobHistory:
    """Reads attempts for reports of final failures."""

    client: Client

    async def attempts(self, job_id: str, run_id: str) -> int:
        """Return the attempts of the job's last step."""
        return await reading.last_attempt(self.client, job_id, run_id)


@dataclass(frozen=True, slots=True)
class HeldJobs:
    """Counts held jobs for alerts."""

    client: Client

    async def count(self, error: str) -> int:
        """Return how many jobs are held by errors of that type."""
        return await count_held(self.client, error)


def build_workers(
    client: Client,
    adapters: Adapters,
    options: Options,
    slots: Mapping[Queue, int],
    interceptors: Sequence[Interceptor],
) -> list[Worker]:
    """Return a worker for each queue that has a kind or a system workflow."""
    failures = FailureActivities(adapters.reporters, JobHistory(client))
    recipients = AlertRecipients(to=tuple(adapters.settings.alerts_to))
    alerts = AlertActivities(HeldJobs(client), recipients)
    queues = QueueActivities(QueueKeeper(client))
    places = PlaceActivities(JobsOnServer(client))
    wiring = wire(adapters, client)
    system_steps = {
        Queue.REPORTS: ScheduleActivities(ScheduleClient(client)).all(),
        Queue.BATCHES: (
            *RedriveActivities(Redriver(client), adapters.storage).all(),
            *pruning_over(adapters.database, adapters.storage, client).all(),
        ),
    }
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=[
                *(wired.workflow for wired in wiring if wired.kind.queue is queue),
                *SYSTEM_WORKFLOWS.get(queue, ()),
                AlertOfHoldWorkflow,
                EndPauseWorkflow,
                KeepPlacesWorkflow,
            ],
            activities=[
                *failures.all(),
                *alerts.all(),
                *queues.all(),
                *places.all(),
                *(
                    step
                    for wired in wiring
                    if wired.kind.queue is queue
                    for step in wired.activities
                ),
                *system_steps.get(queue, ()),
            ],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules(
                    "jobs", "activities", "workflows.base"
                )
            ),
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
        if queue in SYSTEM_WORKFLOWS or any(wired.kind.queue is queue for wired in wiring)
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
            probes = await serving.serve_probes(client, workers, options.probe_port)
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

"""What joins workflows, activities and adapters: a line for each kind in ``wire``.

The only module that knows all three. ``worker.py`` runs what this names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from temporalio.client import Client

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
from activities.mailings import MailingActivities
from activities.places import PlaceActivities
from activities.queues import QueueActivities
from activities.redrives import RedriveActivities
from activities.reports import ReportActivities
from activities.schedules import ScheduleActivities
from activities.webhooks import WebhookActivities
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
from adapters.transfers import SourceFiles, open_writer
from equipment import Adapters, pruning_over
from jobs.base import JobKind, Queue
from jobs.batches import BATCH
from jobs.client import JobClient, reading
from jobs.client.holding import count_held
from jobs.client.limits import QueueKeeper
from jobs.client.places import JobsOnServer
from jobs.client.redriver import Redriver
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
from workflows.alerts import AlertOfHoldWorkflow
from workflows.batches import RunBatchWorkflow
from workflows.deliveries import DeliverWebhookWorkflow
from workflows.emails import SendEmailWorkflow
from workflows.events import PublishEventWorkflow
from workflows.exports import ExportDataWorkflow
from workflows.images import ProcessImageWorkflow
from workflows.imports import ImportDataWorkflow
from workflows.mailings import SendMailingWorkflow
from workflows.places import KeepPlacesWorkflow
from workflows.pruning import PruneWorkflow
from workflows.queues import EndPauseWorkflow
from workflows.redrives import RedriveWorkflow
from workflows.reminders import SendReminderWorkflow
from workflows.reports import DailyReportsWorkflow, GenerateReportWorkflow
from workflows.schedules import RaiseAlertWorkflow, WatchSchedulesWorkflow
from workflows.webhooks import ProcessWebhookWorkflow, SweepWebhooksWorkflow

Steps: TypeAlias = Sequence[Callable[..., object]]

EVERYWHERE: Final[Sequence[type]] = (AlertOfHoldWorkflow, EndPauseWorkflow, KeepPlacesWorkflow)
"""Workflows that run on every queue beside its jobs."""
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
    activities: Steps


@dataclass(frozen=True, slots=True)
class Work:
    """All that the worker of one queue runs."""

    workflows: Sequence[type]
    activities: Steps


def work_of_queues(adapters: Adapters, client: Client) -> Mapping[Queue, Work]:
    """Return what each queue's worker runs; a queue without work of its own is left out."""
    wired = wire(adapters, client)
    shared, system = shared_steps(adapters, client), system_steps(adapters, client)
    return {
        queue: Work(
            workflows=(
                *(each.workflow for each in wired if each.kind.queue is queue),
                *SYSTEM_WORKFLOWS.get(queue, ()),
                *EVERYWHERE,
            ),
            activities=(
                *shared,
                *(step for each in wired if each.kind.queue is queue for step in each.activities),
                *system.get(queue, ()),
            ),
        )
        for queue in Queue
        if queue in SYSTEM_WORKFLOWS or any(each.kind.queue is queue for each in wired)
    }


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


def shared_steps(adapters: Adapters, client: Client) -> Steps:
    """Return the steps that any job may need, whatever its queue."""
    recipients = AlertRecipients(to=tuple(adapters.settings.alerts_to))
    return (
        *FailureActivities(adapters.reporters, JobHistory(client)).all(),
        *AlertActivities(HeldJobs(client), recipients).all(),
        *QueueActivities(QueueKeeper(client)).all(),
        *PlaceActivities(JobsOnServer(client)).all(),
    )


def system_steps(adapters: Adapters, client: Client) -> Mapping[Queue, Steps]:
    """Return the steps of the workflows that no one submits."""
    return {
        Queue.REPORTS: ScheduleActivities(ScheduleClient(client)).all(),
        Queue.BATCHES: (
            *RedriveActivities(Redriver(client), adapters.storage).all(),
            *pruning_over(adapters.database, adapters.storage, client).all(),
        ),
    }


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

"""Handle one inbound event; and the system workflow that sweeps up after the door."""

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError

from activities.webhooks import WebhookActivities
from jobs.attributes import JOB_OWNER
from jobs.events import EVENT, PublishEvent
from jobs.webhooks import (
    BURY,
    HANDLE,
    SWEEP,
    SWEEP_WORKFLOW,
    WEBHOOK,
    Burial,
    HandledStep,
    ProcessWebhook,
    Sweep,
    Unstarted,
    WebhookOutcome,
    job_key,
)
from workflows.base import JobWorkflow
from workflows.children import ChildOptions, child_options


@workflow.defn(name=WEBHOOK.workflow)
class ProcessWebhookWorkflow(JobWorkflow):
    """Give the event to its handler; after the last attempt it is a dead letter."""

    @workflow.run
    async def run(self, job: ProcessWebhook) -> WebhookOutcome:
        """Process ``job``."""
        handled = await self._handle(job)
        if handled.publish is not None:
            await self._publish(handled.publish, job_key(job.source, job.event_id))
        return handled.result

    async def _handle(self, job: ProcessWebhook) -> HandledStep:
        try:
            return await self.step(
                WebhookActivities.handle,
                job,
                HANDLE,
                place=(1, 1),
                summary=f"handle an event from {job.source}",
            )
        except ActivityError as error:
            cause = error.cause
            told = f"{cause.type}: {cause.message}" if isinstance(cause, ApplicationError) else ""
            burial = Burial(source=job.source, event_id=job.event_id, error=told or str(cause))
            await workflow.execute_activity_method(WebhookActivities.bury, burial, **BURY)
            raise

    async def _publish(self, event: PublishEvent, key: str) -> None:
        try:
            await workflow.start_child_workflow(
                EVENT.workflow, event, **child_options(EVENT, event, key)
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("the event was forwarded before")


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWebhooksWorkflow:
    """Start the jobs of events that were stored while Temporal was away; prune old rows."""

    @workflow.run
    async def run(self) -> Sweep:
        """Sweep once."""
        found = await workflow.execute_activity_method(WebhookActivities.sweep, **SWEEP)
        for unstarted in found.started:
            try:
                await workflow.start_child_workflow(
                    WEBHOOK.workflow, unstarted.job, **_options(unstarted)
                )
            except WorkflowAlreadyStartedError:
                workflow.logger.info("the event's job was there already")
        return found


def _options(unstarted: Unstarted) -> ChildOptions:
    """Return how to start an event's job for the event's owner; a sweep itself has none."""
    job = unstarted.job
    options = child_options(WEBHOOK, job, job_key(job.source, job.event_id))
    if unstarted.owner:
        pairs = [*options["search_attributes"], SearchAttributePair(JOB_OWNER, unstarted.owner)]
        options["search_attributes"] = TypedSearchAttributes(pairs)
    return options

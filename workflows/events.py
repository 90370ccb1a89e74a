"""Publish one event to every endpoint that subscribes to it."""

import asyncio
from collections import Counter
from typing import Final

from temporalio import workflow
from temporalio.exceptions import (
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from activities.events import EventActivities
from jobs.attributes import JOB_OWNER
from jobs.deliveries import DELIVERY, DeliverWebhook, Delivery
from jobs.events import (
    EVENT,
    PUBLISH,
    EventReceipt,
    Fanout,
    Publication,
    PublishEvent,
    Target,
    message_id,
)
from workflows.base import JobWorkflow
from workflows.children import child_options

DELIVERED: Final = "delivered"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
BEGUN_BEFORE: Final = "begun_before"


@workflow.defn(name=EVENT.workflow)
class PublishEventWorkflow(JobWorkflow):
    """Store the event, start its deliveries, and count how they end."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @workflow.run
    async def run(self, job: PublishEvent) -> EventReceipt:
        """Publish ``job``; done when every delivery is."""
        event_id = message_id(workflow.info().workflow_id)
        fanout = await self._publish(job, event_id)
        self._counts[FAILED] += fanout.refused
        async with asyncio.TaskGroup() as group:
            for target in fanout.targets:
                group.create_task(self._deliver(event_id, target, len(fanout.targets)))
        return EventReceipt(
            event_id=event_id,
            endpoints=len(fanout.targets) + fanout.refused,
            **self._counts,
        )

    async def _publish(self, job: PublishEvent, event_id: str) -> Fanout:
        info = workflow.info()
        publication = Publication(
            event_id=event_id,
            owner=info.typed_search_attributes.get(JOB_OWNER) or "",
            occurred_at=job.occurred_at or info.workflow_start_time,
            event=job,
        )
        return await self.step(
            EventActivities.publish,
            publication,
            PUBLISH,
            place=(1, 1),
            summary="store the event and select endpoints",
        )

    async def _deliver(self, event_id: str, target: Target, count: int) -> None:
        job = DeliverWebhook(
            event_id=event_id, endpoint_id=target.endpoint_id, schedule=target.schedule
        )
        key = f"{event_id}:{target.endpoint_id}"
        self._counts[await self._outcome(job, key)] += 1
        told = ", ".join(f"{number} {name}" for name, number in sorted(self._counts.items()))
        workflow.set_current_details(f"{told} of {count} endpoints")

    async def _outcome(self, job: DeliverWebhook, key: str) -> str:
        try:
            delivery: Delivery = await workflow.execute_child_workflow(
                DELIVERY.workflow,
                job,
                result_type=Delivery,
                **child_options(DELIVERY, job, key),
            )
        except WorkflowAlreadyStartedError:
            return BEGUN_BEFORE
        except ChildWorkflowError as error:
            return CANCELLED if is_cancelled_exception(error) else FAILED
        return CANCELLED if delivery.state == CANCELLED else DELIVERED

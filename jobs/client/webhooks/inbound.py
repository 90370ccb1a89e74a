"""Starting the jobs of inbound events: at the door, and by the sweep over what it could not."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.client import Client, ScheduleActionStartWorkflow

from jobs.client.recurring import ensure_recurring
from jobs.client.submission import Submission, submit
from jobs.errors import ServerUnreachableError
from jobs.webhooks import SWEEP_INTERVAL, SWEEP_WORKFLOW, WEBHOOK, ProcessWebhook

AT_ONCE: Final = timedelta(0)
SWEEP_SCHEDULE: Final = "conveyor-sweep-webhooks"
SWEEP_TIMEOUT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class InboundStarter:
    """Starts the jobs of inbound events, in one call to the server."""

    temporal: Client | None
    """None when the server did not answer: events wait for the sweep."""

    async def start(self, job: ProcessWebhook, key: str, owner: str) -> None:
        """Start the event's job; one that is there is fine.

        Raises:
            ServerUnreachableError: Temporal is away; it is not waited for.
        """
        if self.temporal is None:
            msg = "no Temporal server answers"
            raise ServerUnreachableError(msg)
        options = Submission(key=key, owner=owner or None, retry_for=AT_ONCE)
        await submit(self.temporal, WEBHOOK, job.model_dump(mode="json"), options)


async def ensure_sweep(temporal: Client) -> None:
    """Have the sweep over stored events run each minute; what is there stays as it is."""
    action = ScheduleActionStartWorkflow(
        SWEEP_WORKFLOW,
        id="sweep-webhooks",
        task_queue=WEBHOOK.queue,
        execution_timeout=SWEEP_TIMEOUT,
    )
    await ensure_recurring(temporal, SWEEP_SCHEDULE, action, every=SWEEP_INTERVAL)

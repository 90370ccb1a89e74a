"""Steps of the webhook job: handle the event, or bury it; and the sweep over stored events.

A handler runs at least once per event; its effect happens once, by ``processed_effect``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.clock import ServerClock
from activities.handlers.registry import Handlers
from activities.handlers.tools import Tools
from activities.progress import report
from jobs.signatures.schemes import MalformedRequest
from jobs.webhooks import (
    KEPT,
    Burial,
    EventRejected,
    Handled,
    HandledStep,
    InboundEvent,
    InboundEventMissing,
    InboundState,
    ProcessWebhook,
    Sweep,
    Unstarted,
    WebhookOutcome,
)
from jobs.webhooks.parsing import parse_body, read_occurred_at
from jobs.webhooks.sources import MAX_BODY_BYTES
from jobs.webhooks.stored import Pruned, StoredEvent


class InboundStore(Protocol):
    """What these steps need from the database."""

    async def open(self, source: str, event_id: str) -> StoredEvent | None:
        """Return a stored event, and count an attempt."""
        ...

    async def finish(
        self, source: str, event_id: str, state: InboundState, error: str | None, now: datetime
    ) -> None:
        """Record what became of an event."""
        ...

    async def unstarted(self, now: datetime) -> Sequence[Unstarted]:
        """Return events that are stored and whose jobs were not started, or were lost."""
        ...

    async def prune(self, before: datetime) -> Pruned:
        """Delete events and effects from before that instant."""
        ...


class PublishedEvents(Protocol):
    """What the sweep needs from the log of published events."""

    async def prune(self, before: datetime) -> Pruned:
        """Delete events, deliveries and attempts from before that instant."""
        ...


class Bodies(Protocol):
    """What these steps need from storage."""

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object's content."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; a missing one is fine."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookActivities:
    """Steps of the webhook job."""

    store: InboundStore
    published: PublishedEvents
    bodies: Bodies
    handlers: Handlers
    tools: Tools

    @activity.defn(name="webhooks.handle")
    async def handle(self, job: ProcessWebhook) -> HandledStep:
        """Give the event to its handler, and record what became of it.

        Idempotent as far as the handler is: it may run again, its effect happens once. A discarded
        event stays discarded.

        Raises:
            InboundEventMissing: The stored event is gone.
        """
        clock = ServerClock()
        stored = await self.store.open(job.source, job.event_id)
        if stored is None:
            msg = "the event is not in the database: it is past its 30 days, or was never stored"
            raise InboundEventMissing(msg)
        if stored.state is InboundState.DISCARDED:
            return HandledStep(result=WebhookOutcome(outcome=stored.state))
        report(1, 3, message="read")
        handler = self.handlers.find(job.source, stored.type)
        name = handler.name if handler else None
        handled = Handled(outcome=InboundState.IGNORED, note=f"no handler for {stored.type}")
        if handler is not None:
            try:
                event = await self._read(stored)
                handled = await handler.function(event, self.tools)
            except EventRejected as error:
                handled = Handled(outcome=InboundState.REJECTED, note=error.message)
        report(2, 3, message="handled")
        rejected = handled.outcome is InboundState.REJECTED
        note = handled.note if rejected else None
        await self.store.finish(job.source, job.event_id, handled.outcome, note, clock.now())
        result = WebhookOutcome(outcome=handled.outcome, handler=name, note=handled.note)
        return HandledStep(result=result, publish=handled.publish)

    async def _read(self, stored: StoredEvent) -> InboundEvent:
        raw = stored.body
        if raw is None:
            raw = await self.bodies.get(stored.body_key or "", limit=MAX_BODY_BYTES)
        try:
            body = parse_body(raw)
        except MalformedRequest as error:
            raise EventRejected(str(error)) from None
        return InboundEvent(
            source=stored.source,
            id=stored.event_id,
            type=stored.type,
            body=body,
            occurred_at=read_occurred_at(body),
            received_at=stored.received_at,
            owner=stored.owner,
        )

    @activity.defn(name="webhooks.bury")
    async def bury(self, burial: Burial) -> None:
        """Record an event as a dead letter; a second time changes nothing."""
        await self.store.finish(
            burial.source, burial.event_id, InboundState.DEAD, burial.error, ServerClock().now()
        )

    @activity.defn(name="webhooks.sweep")
    async def sweep(self) -> Sweep:
        """Find events without a job, and delete what is past its 30 days; repeating it is safe."""
        now = ServerClock().now()
        found = await self.store.unstarted(now)
        report(1, 2, message=f"{len(found)} without a job")
        pruned = [await self.store.prune(now - KEPT), await self.published.prune(now - KEPT)]
        for key in (key for part in pruned for key in part.keys):
            await self.bodies.delete(key)
        return Sweep(started=list(found), pruned=sum(part.rows for part in pruned))

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.handle, self.bury, self.sweep)

"""Events that come in: handled, forwarded, rejected."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from adapters.database.webhooks.inbound import InboundEvents
from cli.demo.webhooks import PUSH
from jobs.base import Queue
from jobs.status import JobState
from jobs.webhooks import job_key
from jobs.webhooks.door import Arrival
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios


async def arrived(
    house: House,
    source: str,
    event_type: str,
    body: dict[str, Any] = PUSH,
    *,
    owner: str = "",
    at: timedelta = timedelta(0),
) -> dict[str, Any]:
    """Store an event as the door did so long ago; return the input of its job."""
    raw, event_id = json.dumps(body).encode(), uuid4().hex
    arrival = Arrival(
        source=source,
        event_id=event_id,
        owner=owner,
        type=event_type,
        content_type="application/json",
        headers={},
        size=len(raw),
        body=raw,
        body_key=None,
        received_at=datetime.now(UTC) - at,
    )
    await InboundEvents(house.adapters.database).add(arrival)
    return {"source": source, "event_id": event_id}


async def rejected(house: House) -> Sequence[str]:
    """The handler finds that the event is none that it can handle."""
    job_id = await house.submit("webhook", await arrived(house, "github", "push", {"no": "push"}))
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def buried(house: House) -> Sequence[str]:
    """The handler fails for good: a dead letter."""
    job_id = await house.submit("webhook", await arrived(house, "github", "push"))
    async with house.deciding():
        await house.fail_step(Queue.WEBHOOKS, "DatabaseRefused")
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def forwarded(house: House) -> Sequence[str]:
    """What comes in goes out as an event of ours; a second run finds it begun."""
    job = await arrived(house, "partner", "order.made", {"id": 1})
    key = job_key("partner", job["event_id"])
    job_id = await house.submit("webhook", job, key=key)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
        assert await house.finished(f"event-{key}") is JobState.COMPLETED
        await house.client.start_workflow(
            "ProcessWebhook", job, id=job_id, task_queue=Queue.WEBHOOKS
        )
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


ALL: Final = scenarios(rejected, buried, forwarded)

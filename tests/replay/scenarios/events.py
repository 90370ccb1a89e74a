"""Events that go out, and their deliveries: refused, forced, cancelled, to nobody any more."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from adapters.database.webhooks.events import Events, delivery_id
from jobs.base import Queue
from jobs.client import Submission
from jobs.endpoints import Endpoint, EndpointState
from jobs.events import EventRecord, full_body, message_id
from jobs.status import JobState
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios

TYPE: Final = "invoice.paid"
CANCEL_TRAVELS_S: Final = 3
"""A heartbeat brings it to the step."""
QUICK: Final = ["PT0S", "PT1S", "PT1S"]
PATIENT: Final = ["PT0S", "PT12H"]
PAID: Final[Mapping[str, Any]] = {"event_type": TYPE, "payload": {"invoice": "in_1"}}
NOWHERE: Final = "http://10.255.255.1/hook"
"""A private address, which no delivery may reach."""


async def endpoint(house: House, **options: Any) -> Endpoint:
    """Register an endpoint at the house's receiver."""
    data = {"url": house.receiver.url, "event_types": ["none"], "schedule": QUICK, **options}
    added, _ = await house.desk.add("", data)
    return added


async def published(house: House, **options: Any) -> dict[str, Any]:
    """Record an event; return the input of its delivery to an endpoint with these options."""
    added, now, event_id = await endpoint(house, **options), datetime.now(UTC), f"ev-{uuid4().hex}"
    record = EventRecord(
        id=event_id,
        owner="",
        type=TYPE,
        occurred_at=now,
        full_body=full_body(TYPE, now, {"invoice": "in_1"}),
        thin_body=None,
    )
    await Events(house.adapters.database).record(record, [added], now)
    schedule = [wait.total_seconds() for wait in added.schedule]
    return {"event_id": event_id, "endpoint_id": added.id, "schedule": schedule}


async def delivery(house: House, **options: Any) -> str:
    """Submit a delivery under the id that it has in the log, and return that id."""
    job = await published(house, **options)
    job_id = delivery_id(job["event_id"], job["endpoint_id"])
    return await house.submit("delivery", job, key=job_id.removeprefix("delivery-"))


async def until_it_waits(house: House, job_id: str) -> None:
    """Return when an attempt has failed and the next is not due."""
    await house.until(job_id, lambda job: job.state is JobState.RETRYING)


async def accepted_at_the_second_attempt(house: House) -> Sequence[str]:
    """The endpoint is away for a moment."""
    house.receiver.statuses = [503, 204]
    job_id = await delivery(house)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def exhausted(house: House) -> Sequence[str]:
    """The endpoint never accepts."""
    house.receiver.statuses = [500]
    job_id = await delivery(house)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def gone(house: House) -> Sequence[str]:
    """The endpoint says that it is gone; its user is told."""
    house.receiver.statuses = [410]
    job_id = await delivery(house, notify_user="ada")
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def address_refused(house: House) -> Sequence[str]:
    """The endpoint lies where no delivery may go."""
    job_id = await delivery(house, url=NOWHERE)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def endpoint_disabled(house: House) -> Sequence[str]:
    """The endpoint was switched off before the first attempt."""
    job = await published(house)
    await house.desk.endpoints.set_state(job["endpoint_id"], EndpointState.DISABLED, "switched off")
    job_id = await house.submit("delivery", job)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def forced(house: House) -> Sequence[str]:
    """A person wants the next attempt now."""
    house.receiver.statuses = [500, 204]
    job_id = await delivery(house, schedule=PATIENT)
    async with house.working():
        await until_it_waits(house, job_id)
        await house.handle(job_id).execute_update("retry_now")
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def forced_in_an_attempt(house: House) -> Sequence[str]:
    """A person wants the next attempt while one is under way."""
    house.receiver.answer.clear()
    house.receiver.statuses = [500, 204]
    job_id = await delivery(house)
    async with house.working():
        await house.receiver.asked.wait()
        await house.handle(job_id).execute_update("retry_now")
        house.receiver.answer.set()
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def called_off(house: House) -> Sequence[str]:
    """A person wants no further attempt."""
    house.receiver.statuses = [500]
    job_id = await delivery(house, schedule=PATIENT)
    async with house.working():
        await until_it_waits(house, job_id)
        await house.handle(job_id).execute_update("cancel")
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def cancelled_while_it_waits(house: House) -> Sequence[str]:
    """The job is cancelled between two attempts."""
    house.receiver.statuses = [500]
    job_id = await delivery(house, schedule=PATIENT)
    async with house.working():
        await until_it_waits(house, job_id)
        await house.handle(job_id).cancel()
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def cancelled_in_an_attempt(house: House) -> Sequence[str]:
    """The job is cancelled while the endpoint takes the event."""
    house.receiver.answer.clear()
    job_id = await delivery(house)
    async with house.working():
        await house.receiver.asked.wait()
        await house.handle(job_id).cancel()
        await asyncio.sleep(CANCEL_TRAVELS_S)
        house.receiver.answer.set()
        await house.finished(job_id)
    return (job_id,)


async def attempt_lost(house: House) -> Sequence[str]:
    """An attempt loses three workers and counts as failed."""
    job_id = await delivery(house)
    await house.lose_workers(Queue.WEBHOOKS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def only_attempt_lost(house: House) -> Sequence[str]:
    """The last attempt loses three workers."""
    job_id = await delivery(house, schedule=["PT0S"])
    await house.lose_workers(Queue.WEBHOOKS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def to_several(house: House) -> Sequence[str]:
    """One endpoint accepts, one is called off, one refuses."""
    good = await endpoint(house)
    bad = await endpoint(house, url=NOWHERE)
    job_id = await house.submit("event", {**PAID, "endpoint_ids": [good.id, bad.id]})
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def told_before(house: House) -> Sequence[str]:
    """Two deliveries find that the endpoint is gone; its user is told once."""
    house.receiver.answer.clear()
    house.receiver.statuses = [410]
    added = await endpoint(house, notify_user="ada")
    jobs = [
        await house.submit("event", {**PAID, "endpoint_ids": [added.id]}, key=f"gone-{number}")
        for number in (1, 2)
    ]
    async with house.working():
        children = [await house.child_of(job_id) for job_id in jobs]
        for child in children:
            await house.until(child, lambda job: job.state is JobState.RUNNING)
        house.receiver.answer.set()
        for child in children:
            assert await house.finished(child) is JobState.FAILED
    return children


async def of_an_owner(house: House) -> Sequence[str]:
    """The event is an owner's, with tags; its deliveries are too."""
    added, _ = await house.desk.add("ada", {"url": house.receiver.url, "event_types": ["none"]})
    options = Submission(owner="ada", tags={"order": "1"})
    job = await house.jobs.submit("event", {**PAID, "endpoint_ids": [added.id]}, options)
    async with house.working():
        assert await house.finished(job.id) is JobState.COMPLETED
    return (job.id,)


async def deliveries_cancelled(house: House) -> Sequence[str]:
    """One delivery is called off by a person, another is cancelled as a job."""
    house.receiver.statuses = [500]
    first = await endpoint(house, schedule=PATIENT)
    second = await endpoint(house, schedule=PATIENT)
    job_id = await house.submit("event", {**PAID, "endpoint_ids": [first.id, second.id]})
    async with house.working():
        called_off, cancelled = (
            delivery_id(message_id(job_id), each.id) for each in (first, second)
        )
        await house.receiver.asked.wait()
        for each in (called_off, cancelled):
            await house.until(each, lambda job: job.state is JobState.RETRYING)
        await house.handle(called_off).execute_update("cancel")
        await house.handle(cancelled).cancel()
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def published_again(house: House) -> Sequence[str]:
    """A failed event's second run finds the delivery of its first."""
    added = await endpoint(house)
    job_id = await house.submit("event", {**PAID, "endpoint_ids": [added.id]}, key="again")
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
        await house.client.start_workflow(
            "PublishEvent",
            {**PAID, "endpoint_ids": [added.id]},
            id=job_id,
            task_queue=Queue.WEBHOOKS,
        )
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


ALL: Final = scenarios(
    accepted_at_the_second_attempt,
    exhausted,
    gone,
    address_refused,
    endpoint_disabled,
    forced,
    forced_in_an_attempt,
    called_off,
    cancelled_while_it_waits,
    cancelled_in_an_attempt,
    attempt_lost,
    only_attempt_lost,
    to_several,
    told_before,
    of_an_owner,
    deliveries_cancelled,
    published_again,
)

"""Published events: who gets them, in what form, and how they are counted."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from jobs.attributes import JOB_OWNER
from jobs.base import Queue
from jobs.deliveries.answers import Answer
from jobs.events import EventReceipt, PublishEvent, message_id
from tests.webhooks import NOW, OWNER, House, statuses
from workflows.events import PublishEventWorkflow

QUICK = ["PT0S", "PT1S"]


async def publish(
    house: House, client: Client, unique: str, *, owner: str = OWNER, **fields: Any
) -> EventReceipt:
    event = PublishEvent.model_validate(
        {"event_type": "invoice.paid", "payload": {"n": 1}, **fields}
    )
    owned = TypedSearchAttributes([SearchAttributePair(JOB_OWNER, owner)])
    async with house.worker(client):
        return await client.execute_workflow(
            PublishEventWorkflow.run,
            event,
            id=f"event-{unique}",
            task_queue=Queue.WEBHOOKS,
            search_attributes=owned,
        )


async def test_every_subscribed_endpoint_of_the_owner_gets_the_event(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_exact", event_types=["invoice.paid"])
    await house.add_endpoint("ep_prefix", event_types=["invoice.*"])
    await house.add_endpoint("ep_all")
    await house.add_endpoint("ep_other", event_types=["invoice.paid.twice", "invoices.*"])
    receipt = await publish(house, temporal, unique)
    assert (receipt.endpoints, receipt.delivered) == (3, 3)
    hosts = sorted(request.url.split(".")[0] for request in house.sender.requests)
    assert hosts == ["https://ep_all", "https://ep_exact", "https://ep_prefix"]


async def test_another_owners_event_reaches_nobody(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_mine")
    receipt = await publish(house, temporal, unique, owner="rival")
    assert (receipt.endpoints, house.sender.requests) == (0, [])


async def test_named_endpoints_get_the_event_whatever_they_subscribe_to(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_named", event_types=["other"])
    await house.add_endpoint("ep_unnamed")
    receipt = await publish(house, temporal, unique, endpoint_ids=["ep_named"])
    assert receipt.endpoints == 1


async def test_receivers_verify_the_request_with_the_public_package(
    house: House, temporal: Client, unique: str
) -> None:
    _, key = await house.add_endpoint("ep_verify")
    await publish(house, temporal, unique, occurred_at=NOW)
    [request] = house.sender.requests
    data = standardwebhooks.Webhook(key).verify(request.body, request.headers)
    assert data == {"type": "invoice.paid", "timestamp": "2026-11-24T08:00:00Z", "data": {"n": 1}}
    assert request.headers["webhook-id"] == f"event-{unique}"


async def test_during_a_rotation_requests_carry_both_signatures(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, old = await house.add_endpoint("ep_rotate")
    new = "whsec_" + "A" * 32
    await house.endpoints.rotate(endpoint.id, new, NOW + timedelta(days=36_500))
    await publish(house, temporal, unique)
    [request] = house.sender.requests
    for key in (old, new):
        standardwebhooks.Webhook(key).verify(request.body, request.headers)


async def test_after_a_rotation_the_old_signature_is_gone(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, old = await house.add_endpoint("ep_rotated")
    await house.endpoints.rotate(endpoint.id, "whsec_" + "A" * 32, NOW - timedelta(seconds=1))
    await publish(house, temporal, unique)
    [request] = house.sender.requests
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(old).verify(request.body, request.headers)


async def test_a_thin_endpoint_gets_a_link_instead_of_data(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_thin", format="thin")
    await publish(house, temporal, unique, payload={"secret": "x"}, occurred_at=NOW)
    [request] = house.sender.requests
    assert json.loads(request.body) == {
        "id": f"event-{unique}",
        "type": "invoice.paid",
        "timestamp": "2026-11-24T08:00:00Z",
        "url": f"https://conveyor.example.com/v1/events/event-{unique}/payload",
    }
    stored = await house.storage.get(f"events/event-{unique}/payload.json")
    assert json.loads(stored) == {"secret": "x"}


async def test_a_payload_by_reference_goes_out_as_a_link_to_all(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_full")
    await house.storage.put("exports/large.json", b"{}")
    await publish(house, temporal, unique, payload=None, payload_ref="exports/large.json")
    [request] = house.sender.requests
    assert "url" in json.loads(request.body)


async def test_a_payload_that_is_not_in_storage_fails_the_event(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_missing")
    with pytest.raises(WorkflowFailureError) as failed:
        await publish(house, temporal, unique, payload=None, payload_ref="exports/none.json")
    assert "EventPayloadMissing" in repr(failed.value.cause.__cause__)


async def test_one_dead_endpoint_is_counted_and_holds_up_no_other(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_1", schedule=QUICK)
    await house.add_endpoint("ep_2", schedule=QUICK)
    house.sender.answers = [
        Answer(status=204),
        Answer(error_type="EndpointUnreachable", error="refused"),
    ]
    receipt = await publish(house, temporal, unique)
    assert (receipt.endpoints, receipt.delivered, receipt.failed) == (2, 1, 1)


async def test_custom_headers_go_out_and_are_not_shown(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_head", headers={"X-Token": "hush"})
    await publish(house, temporal, unique)
    [request] = house.sender.requests
    assert request.headers["X-Token"] == "hush"
    assert endpoint.header_names == ["X-Token"]
    assert "hush" not in endpoint.model_dump_json()


async def test_a_dead_endpoint_gets_a_dozen_requests_for_many_events(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_dead")
    house.sender.answers = statuses(500)
    jobs = [job for n in range(60) for job in await house.add_event(f"{unique}-{n}", endpoint)]
    async with house.worker(client):
        handles = await asyncio.gather(
            *(
                client.start_workflow(
                    "DeliverWebhook",
                    job,
                    id=f"delivery-{job.event_id}:{job.endpoint_id}",
                    task_queue=Queue.WEBHOOKS,
                )
                for job in jobs
            )
        )
        for handle in handles:
            await until_put_off(handle)
        for handle in handles:
            await handle.terminate()
    assert 10 <= len(house.sender.requests) < 20
    found = await house.endpoints.find(OWNER, endpoint.id)
    assert found is not None
    assert found.health.open_until is not None


async def until_put_off(handle: WorkflowHandle[Any, Any]) -> None:
    """Return when a delivery waits: for its second attempt, or for the endpoint."""
    while True:
        pending = (await handle.describe()).raw_description.pending_activities
        if any(activity.HasField("last_failure") for activity in pending):
            return
        await asyncio.sleep(0.05)


async def test_an_ordered_endpoint_gets_events_in_their_order(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_ordered", ordered=True, schedule=["PT0S"] * 5)
    house.sender.answers = statuses(500, 500, 204)
    jobs = []
    for n in range(3):
        at = NOW + timedelta(seconds=n)
        jobs += await house.add_event(f"{unique}-{n}", endpoint, at=at)
    async with house.worker(client):
        handles = [
            await client.start_workflow(
                "DeliverWebhook",
                job,
                id=f"delivery-{job.event_id}:{job.endpoint_id}",
                task_queue=Queue.WEBHOOKS,
            )
            for job in reversed(jobs)
        ]
        await asyncio.gather(*(handle.result() for handle in handles))
    order = [request.headers["webhook-id"][-1] for request in house.sender.requests]
    assert order == ["0", "0", "0", "1", "2"]


def test_an_id_with_a_dot_becomes_one_that_can_be_signed() -> None:
    assert message_id("event-0190-a") == "event-0190-a"
    assert "." not in message_id("event-a.b")
    assert message_id("event-a.b") != message_id("event-a_b")

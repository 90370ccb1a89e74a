"""The desk of endpoints: registering, looking, replaying, and never for another owner."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from temporalio.client import Client

from jobs import kinds
from jobs.client.webhooks import EndpointDesk, EndpointNotFoundError, ReplayFilter
from jobs.deliveries import DeliveryState
from jobs.endpoints import EndpointState
from jobs.errors import ConflictError, InvalidInputError
from tests.webhooks import OWNER, House, statuses

URL = "https://hooks.example.com/in"


def desk_of(house: House, client: Client) -> EndpointDesk:
    return EndpointDesk(
        temporal=client,
        endpoints=house.endpoints,
        events=house.events,
        deliveries=house.book,
    )


async def test_a_test_event_arrives_signed_with_the_key_that_was_shown(
    house: House, temporal: Client
) -> None:
    desk = desk_of(house, temporal)
    endpoint, key = await desk.add(OWNER, {"url": URL, "event_types": ["other"]})
    async with house.worker(temporal):
        job_id = await desk.test(OWNER, endpoint.id)
        await temporal.get_workflow_handle(job_id).result()
    [request] = house.sender.requests
    data = standardwebhooks.Webhook(key).verify(request.body, request.headers)
    assert data["type"] == "webhook.test"


async def test_what_was_missed_is_replayed_with_the_same_id_and_only_once(
    house: House, temporal: Client
) -> None:
    desk = desk_of(house, temporal)
    endpoint, _ = await desk.add(OWNER, {"url": URL, "schedule": ["PT0S"]})
    house.sender.answers = statuses(500, 204)
    async with house.worker(temporal):
        job_id = await desk.test(OWNER, endpoint.id)
        await temporal.get_workflow_handle(job_id).result()
        [replayed] = await desk.replay(OWNER, endpoint.id, ReplayFilter())
        await temporal.get_workflow_handle(replayed).result()
        assert await desk.replay(OWNER, endpoint.id, ReplayFilter()) == []
    ids = [request.headers["webhook-id"] for request in house.sender.requests]
    assert ids == [job_id, job_id]


async def test_a_waiting_delivery_is_hurried_and_an_ended_one_is_not(
    house: House, client: Client
) -> None:
    desk = desk_of(house, client)
    endpoint, _ = await desk.add(OWNER, {"url": URL, "schedule": ["PT0S", "PT12H"]})
    house.sender.answers = statuses(500, 204)
    async with house.worker(client):
        job_id = await desk.test(OWNER, endpoint.id)
        while not (waiting := await desk.log(OWNER, endpoint.id, state=DeliveryState.WAITING)):  # noqa: ASYNC110 (looks)
            await asyncio.sleep(0.05)
        await desk.retry_now(OWNER, waiting[0].id)
        await client.get_workflow_handle(job_id).result()
        with pytest.raises(ConflictError):
            await desk.retry_now(OWNER, waiting[0].id)
    delivery, attempts = await desk.attempts(OWNER, waiting[0].id)
    assert (delivery.state, len(attempts)) == (DeliveryState.DELIVERED, 2)


ACTS: dict[str, Callable[[EndpointDesk, str, str], Awaitable[Any]]] = {
    "show": lambda desk, owner, name: desk.show(owner, name),
    "change": lambda desk, owner, name: desk.change(owner, name, {"timeout_s": 5}),
    "enable": lambda desk, owner, name: desk.enable(owner, name),
    "pause": lambda desk, owner, name: desk.pause(owner, name),
    "disable": lambda desk, owner, name: desk.disable(owner, name),
    "rotate": lambda desk, owner, name: desk.rotate(owner, name),
    "remove": lambda desk, owner, name: desk.remove(owner, name),
    "test": lambda desk, owner, name: desk.test(owner, name),
    "log": lambda desk, owner, name: desk.log(owner, name),
    "replay": lambda desk, owner, name: desk.replay(owner, name, ReplayFilter()),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
async def test_another_owners_endpoint_is_not_found(
    house: House, temporal: Client, act: Callable[[EndpointDesk, str, str], Awaitable[Any]]
) -> None:
    desk = desk_of(house, temporal)
    endpoint, _ = await desk.add(OWNER, {"url": URL})
    with pytest.raises(EndpointNotFoundError) as foreign:
        await act(desk, "rival", endpoint.id)
    with pytest.raises(EndpointNotFoundError) as unknown:
        await act(desk, "rival", "ep_none")
    assert str(foreign.value) == str(unknown.value).replace("ep_none", endpoint.id)
    assert await desk.show(OWNER, endpoint.id) == endpoint


async def test_another_owners_delivery_and_payload_are_not_found(
    house: House, temporal: Client
) -> None:
    desk = desk_of(house, temporal)
    endpoint, _ = await desk.add(OWNER, {"url": URL, "format": "thin"})
    async with house.worker(temporal):
        event_id = await desk.test(OWNER, endpoint.id)
        await temporal.get_workflow_handle(event_id).result()
    [delivery] = await desk.log(OWNER, endpoint.id)
    assert await desk.payload_key(OWNER, event_id) == f"events/{event_id}/payload.json"
    with pytest.raises(EndpointNotFoundError):
        await desk.payload_key("rival", event_id)
    with pytest.raises(EndpointNotFoundError):
        await desk.attempts("rival", delivery.id)
    wanted = ReplayFilter(delivery_id=delivery.id)
    other, _ = await desk.add("rival", {"url": URL})
    with pytest.raises(EndpointNotFoundError):
        await desk.replay("rival", other.id, wanted)


async def test_options_are_changed_and_the_rest_stays(house: House, temporal: Client) -> None:
    desk = desk_of(house, temporal)
    endpoint, _ = await desk.add(OWNER, {"url": URL, "timeout_s": 7})
    changed = await desk.change(OWNER, endpoint.id, {"event_types": ["invoice.*"]})
    assert (changed.event_types, changed.timeout_s, changed.url) == (["invoice.*"], 7, URL)
    for wrong in ({"timeout_s": 99}, {"url": "https://x.example.com/"}, {"algorithm": "v1a"}):
        with pytest.raises(InvalidInputError):
            await desk.change(OWNER, endpoint.id, wrong)


async def test_states_change_and_enabling_forgets_the_failures(
    house: House, temporal: Client
) -> None:
    desk = desk_of(house, temporal)
    endpoint, _ = await desk.add(OWNER, {"url": URL})
    disabled = await desk.disable(OWNER, endpoint.id, "too slow")
    assert (disabled.state, disabled.disabled_reason) == (EndpointState.DISABLED, "too slow")
    enabled = await desk.enable(OWNER, endpoint.id)
    assert (enabled.state, enabled.disabled_reason) == (EndpointState.ACTIVE, None)


async def test_a_new_key_is_shown_and_the_old_one_signs_for_a_day(
    house: House, temporal: Client
) -> None:
    desk = desk_of(house, temporal)
    endpoint, old = await desk.add(OWNER, {"url": URL, "algorithm": "v1a"})
    rotated, new = await desk.rotate(OWNER, endpoint.id)
    assert old.startswith("whpk_")
    assert new.startswith("whpk_")
    assert new != old
    assert rotated.previous_key_until is not None
    assert rotated.previous_key_until - endpoint.created_at >= timedelta(hours=24)


def test_the_kinds_of_webhooks_are_known() -> None:
    assert {"event", "delivery", "webhook"} <= set(kinds.KINDS)

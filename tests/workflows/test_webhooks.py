"""Inbound events, from the request at the door to the handler's effect, on a real server."""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from activities.handlers.registry import Handler, handler
from activities.handlers.tools import Tools
from adapters.database.shop import orders
from adapters.database.webhooks.tables import heads, pushes
from jobs.base import Queue
from jobs.errors import ServerUnreachableError
from jobs.signatures.schemes import Scheme
from jobs.webhooks import (
    SWEEP_WORKFLOW,
    WEBHOOK,
    Handled,
    InboundEvent,
    InboundState,
    ProcessWebhook,
    Sweep,
    WebhookOutcome,
    job_key,
)
from jobs.webhooks.door import InboundDoor, Receipt
from jobs.webhooks.sources import WebhookSource
from tests.webhooks import House

SECRET = "s3cret"  # noqa: S105 (the test's own)
GITHUB = WebhookSource(scheme=Scheme.GITHUB, secrets=[SecretStr(SECRET)], owner="acme")
SOURCES = {
    "github": GITHUB,
    "stripe": WebhookSource(scheme=Scheme.STRIPE, secrets=[SecretStr(SECRET)]),
    "partner": WebhookSource(
        scheme=Scheme.GENERIC,
        secrets=[SecretStr(SECRET)],
        owner="acme",
        signature_header="X-Sig",
        event_id_pointer="/id",
        event_type_pointer="/kind",
    ),
}
NOW = 1_800_000_000


def signed(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


def push_body(*, after: str = "b" * 40, pushed_at: int = 1_790_000_000) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": "a" * 40,
        "after": after,
        "commits": [{"id": after}],
        "repository": {"full_name": "acme/shop", "pushed_at": pushed_at},
    }


async def send_push(
    door: InboundDoor, event_id: str, body: dict[str, Any] | None = None, *, kind: str = "push"
) -> Receipt:
    raw = json.dumps(body if body is not None else push_body()).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": kind,
        "X-GitHub-Delivery": event_id,
        "X-Hub-Signature-256": f"sha256={signed(raw)}",
    }
    return await door.receive("github", headers, raw)


async def send_invoice(door: InboundDoor, event_id: str, invoice: dict[str, Any]) -> Receipt:
    body = {"id": event_id, "type": "invoice.paid", "created": NOW, "data": {"object": invoice}}
    raw = json.dumps(body).encode()
    headers = {
        "content-type": "application/json",
        "stripe-signature": f"t={NOW},v1={signed(b'%d.%s' % (NOW, raw))}",
    }
    return await door.receive("stripe", headers, raw)


async def outcome(client: Client, source: str, event_id: str) -> WebhookOutcome:
    name = f"{WEBHOOK.name}-{job_key(source, event_id)}"
    handle = client.get_workflow_handle(name, result_type=WebhookOutcome)
    result: WebhookOutcome = await handle.result()
    return result


async def state(house: House, source: str, event_id: str) -> InboundState | None:
    record = await house.inbound.find(source, event_id)
    return None if record is None else record.state


async def test_an_event_sent_three_times_is_handled_once(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        receipts = [await send_push(door, unique) for _ in range(3)]
        result = await outcome(temporal, "github", unique)
        again = await send_push(door, unique)
    assert [receipt.status for receipt in receipts] == [202, 200, 200]
    assert (again.status, again.body) == (200, {"id": unique, "duplicate": True})
    assert (result.outcome, result.handler) == (InboundState.PROCESSED, "record_push")
    async with house.database.snapshot() as connection:
        assert len((await connection.execute(select(pushes))).all()) == 1


async def test_of_twenty_at_once_exactly_one_is_new(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    receipts = await asyncio.gather(*(send_push(door, unique) for _ in range(20)))
    assert sorted(receipt.status for receipt in receipts) == [200] * 19 + [202]


async def test_an_older_push_than_the_recorded_one_is_stale(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        await send_push(door, f"{unique}-2", push_body(after="2" * 40, pushed_at=200))
        await outcome(temporal, "github", f"{unique}-2")
        await send_push(door, f"{unique}-1", push_body(after="1" * 40, pushed_at=100))
        late = await outcome(temporal, "github", f"{unique}-1")
    assert late.outcome is InboundState.STALE
    async with house.database.snapshot() as connection:
        assert (await connection.execute(select(heads.c.after))).scalar_one() == "2" * 40


async def test_an_event_without_a_handler_is_ignored(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        await send_push(door, unique, {"zen": "x"}, kind="ping")
        result = await outcome(temporal, "github", unique)
    assert result.outcome is InboundState.IGNORED
    assert await state(house, "github", unique) is InboundState.IGNORED


async def test_an_event_of_another_shape_is_rejected_and_the_job_completes(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        await send_push(door, unique, {"ref": 7})
        result = await outcome(temporal, "github", unique)
    assert result.outcome is InboundState.REJECTED
    assert "ref" in result.note


async def add_order(house: House, *, status: str = "pending") -> None:
    async with house.database.begin() as connection:
        await connection.execute(
            orders.insert().values(
                id="o1",
                customer_id="c1",
                product_id="p1",
                ordered_at=0,
                status=status,
                currency="EUR",
                country="DE",
                channel="web",
                amount_minor=4200,
                quantity=1,
            )
        )


async def order_status(house: House) -> str:
    async with house.database.snapshot() as connection:
        return str((await connection.execute(select(orders.c.status))).scalar_one())


INVOICE = {"amount_paid": 4200, "currency": "eur", "metadata": {"order_id": "o1"}}


@pytest.mark.parametrize(
    ("before", "invoice", "expected", "after"),
    [
        ("pending", INVOICE, InboundState.PROCESSED, "paid"),
        ("paid", INVOICE, InboundState.PROCESSED, "paid"),
        ("refunded", INVOICE, InboundState.STALE, "refunded"),
        ("pending", {**INVOICE, "amount_paid": 1}, InboundState.REJECTED, "pending"),
        ("pending", {"currency": "eur"}, InboundState.REJECTED, "pending"),
    ],
)
async def test_a_paid_invoice_marks_its_order_paid_unless_it_must_not(
    house: House,
    temporal: Client,
    unique: str,
    before: str,
    invoice: dict[str, Any],
    expected: InboundState,
    after: str,
) -> None:
    await add_order(house, status=before)
    door = house.door(temporal, SOURCES, now=NOW)
    async with house.worker(temporal):
        await send_invoice(door, unique, invoice)
        result = await outcome(temporal, "stripe", unique)
    assert (result.outcome, await order_status(house)) == (expected, after)


async def test_a_payment_that_comes_before_its_order_waits_for_it(
    house: House, client: Client, unique: str
) -> None:
    door = house.door(client, SOURCES, now=NOW)
    async with house.worker(client):
        await send_invoice(door, unique, INVOICE)
        while True:
            record = await house.inbound.find("stripe", unique)
            if record is not None and record.attempts >= 1:
                break
            await asyncio.sleep(0.02)
        await add_order(house)
        result = await outcome(client, "stripe", unique)
    assert (result.outcome, await order_status(house)) == (InboundState.PROCESSED, "paid")


async def test_an_event_of_the_partner_goes_out_to_our_subscribers_once(
    house: House, temporal: Client, unique: str
) -> None:
    await house.add_endpoint("ep_fwd", event_types=["partner.*"])
    door = house.door(temporal, SOURCES)
    raw = json.dumps({"id": unique, "kind": "deal-won", "value": 7}).encode()
    headers = {"content-type": "application/json", "x-sig": signed(raw)}
    async with house.worker(temporal):
        for _ in range(2):
            await door.receive("partner", headers, raw)
        result = await outcome(temporal, "partner", unique)
        await temporal.get_workflow_handle(f"event-partner:{unique}").result()
    assert result.note == "forwarded as partner.deal.won"
    [request] = house.sender.requests
    assert json.loads(request.body)["data"]["value"] == 7


@dataclass
class Clumsy:
    """A handler that fails a number of times."""

    failures: int
    calls: list[str] = field(default_factory=list)

    def registered(self) -> Handler:
        async def stumble(event: InboundEvent, tools: Tools) -> Handled:
            self.calls.append(event.id)
            if len(self.calls) <= self.failures:
                msg = "boom"
                raise RuntimeError(msg)
            return Handled(note="at last")

        return handler("github", "push")(stumble)


async def test_after_ten_attempts_an_event_is_a_dead_letter_and_can_be_replayed(
    house: House, temporal: Client, unique: str
) -> None:
    clumsy = Clumsy(failures=10)
    house = replace(house, handlers=[clumsy.registered()])
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        await send_push(door, unique)
        with pytest.raises(WorkflowFailureError):
            await outcome(temporal, "github", unique)
        dead = await house.inbound.find("github", unique)
        assert await door.replay("github", unique)
        result = await outcome(temporal, "github", unique)
    assert dead is not None
    assert (dead.state, dead.last_error) == (InboundState.DEAD, "RuntimeError: boom")
    assert (result.note, len(clumsy.calls)) == ("at last", 11)
    assert await state(house, "github", unique) is InboundState.PROCESSED
    assert not await door.replay("github", unique)


async def test_a_discarded_dead_letter_is_handled_no_more(
    house: House, temporal: Client, unique: str
) -> None:
    clumsy = Clumsy(failures=10)
    house = replace(house, handlers=[clumsy.registered()])
    door = house.door(temporal, SOURCES)
    async with house.worker(temporal):
        await send_push(door, unique)
        with pytest.raises(WorkflowFailureError):
            await outcome(temporal, "github", unique)
        assert await door.discard("github", unique)
        job = ProcessWebhook(source="github", event_id=unique)
        await temporal.execute_workflow(WEBHOOK.workflow, job, id=unique, task_queue=Queue.WEBHOOKS)
    assert len(clumsy.calls) == 10
    assert await state(house, "github", unique) is InboundState.DISCARDED


class TemporalAway:
    """A starter that finds no server."""

    async def start(self, job: ProcessWebhook, key: str, owner: str) -> None:
        msg = "no Temporal server answers"
        raise ServerUnreachableError(msg)


async def test_an_event_stored_while_temporal_is_away_is_started_by_the_sweeper(
    house: House, temporal: Client, unique: str
) -> None:
    a_minute_ago = time.time() - 60
    door = InboundDoor(
        SOURCES, house.inbound, house.storage, TemporalAway(), clock=lambda: a_minute_ago
    )
    receipt = await send_push(door, unique)
    assert receipt.status == 202
    async with house.worker(temporal):
        swept = await temporal.execute_workflow(
            SWEEP_WORKFLOW, id=f"sweep-{unique}", task_queue=Queue.WEBHOOKS, result_type=Sweep
        )
        result = await outcome(temporal, "github", unique)
    assert [unstarted.job.event_id for unstarted in swept.started] == [unique]
    assert result.outcome is InboundState.PROCESSED


async def test_a_body_too_large_for_a_row_goes_by_storage(
    house: House, temporal: Client, unique: str
) -> None:
    door = house.door(temporal, SOURCES)
    body = {**push_body(), "commits": [{"message": "x" * 1000}] * 100}
    async with house.worker(temporal):
        await send_push(door, unique, body)
        result = await outcome(temporal, "github", unique)
    assert (result.outcome, result.note) == (InboundState.PROCESSED, "100 commits")
    assert await house.storage.stat(f"hooks/github/{unique}.json") is not None


async def test_a_refused_request_starts_no_job(house: House, temporal: Client, unique: str) -> None:
    door = house.door(temporal, SOURCES)
    receipt = await door.receive("github", {"content-type": "application/json"}, b"{}")
    assert receipt.status == 401
    with pytest.raises(RPCError, match="not found"):
        await temporal.get_workflow_handle(f"webhook-github:{unique}").describe()
    assert await house.inbound.list() == []

"""Webhooks in both databases: claims, takeovers, limits, seals, pruning."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from adapters.database import Database
from adapters.database.webhooks.effects import PushLog, processed_effect
from adapters.database.webhooks.tables import attempts, deliveries, endpoints, events, inbound
from adapters.sealing import SecretBox, SecretUnreadable
from adapters.storage import Storage
from jobs.deliveries import (
    Attempt,
    AttemptOutcome,
    AttemptSuperseded,
    Closing,
    DeliverWebhook,
    DeliveryState,
    NoticeKind,
)
from jobs.deliveries.answers import Answer
from jobs.deliveries.breaker import Hindrance
from jobs.deliveries.records import Dispatch
from jobs.endpoints import EndpointState, PayloadFormat
from jobs.webhooks import InboundState, Unstarted
from jobs.webhooks.door import Arrival
from jobs.webhooks.effects import Effect, Push
from tests.webhooks import NOW, OWNER, House, job_id

OK = Answer(status=204, text="fine", total_ms=3.0)
BROKEN = Answer(status=500)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(database: Database) -> House:
    return House(database, Storage.open("memory:"))


def nth(job: DeliverWebhook, number: int = 1, **options: Any) -> Attempt:
    return Attempt(
        delivery_id=job_id(job),
        run_id="run",
        event_id=job.event_id,
        endpoint_id=job.endpoint_id,
        number=number,
        then=options.pop("then", MINUTE),
        **options,
    )


async def claim(house: House, attempt: Attempt, *, now: Any = NOW) -> Dispatch:
    leave = await house.log.begin(attempt, now)
    assert isinstance(leave, Dispatch), leave
    return leave


async def one(house: House, **options: Any) -> DeliverWebhook:
    endpoint, _ = await house.add_endpoint("ep_1", **options)
    [job] = await house.add_event("event-1", endpoint)
    return job


async def test_a_recorded_attempt_is_not_made_again(house: House) -> None:
    attempt = nth(await one(house))
    leave = await claim(house, attempt)
    first = await house.log.finish(attempt, leave.token, OK, NOW)
    again = first.model_copy(update={"repeated": True})
    assert await house.log.begin(attempt, NOW) == again
    assert await house.log.finish(attempt, leave.token, BROKEN, NOW) == again


async def test_a_lost_claim_is_taken_over_and_the_loser_records_nothing(house: House) -> None:
    attempt = nth(await one(house))
    frozen = await claim(house, attempt)
    current = await claim(house, attempt)
    with pytest.raises(AttemptSuperseded):
        await house.log.finish(attempt, frozen.token, BROKEN, NOW)
    outcome = await house.log.finish(attempt, current.token, OK, NOW)
    assert outcome.state is DeliveryState.DELIVERED
    [record] = await house.book.attempts_of(attempt.delivery_id)
    assert record.answer is not None
    assert (record.answer.status, record.answer.text) == (204, "fine")


async def test_no_more_attempts_are_under_way_than_the_endpoint_takes(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1", max_concurrency=2)
    jobs = [(await house.add_event(f"event-{n}", endpoint))[0] for n in range(6)]
    leaves = await asyncio.gather(*(house.log.begin(nth(job), NOW) for job in jobs))
    assert sum(isinstance(leave, Dispatch) for leave in leaves) == 2
    assert sum(isinstance(leave, Hindrance) for leave in leaves) == 4


async def test_a_lost_workers_slot_is_free_again_when_its_lease_ends(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1", max_concurrency=1, timeout_s=5)
    lost, next_one = [(await house.add_event(f"event-{n}", endpoint))[0] for n in range(2)]
    await claim(house, nth(lost))
    assert isinstance(await house.log.begin(nth(next_one), NOW + timedelta(seconds=19)), Hindrance)
    await claim(house, nth(next_one), now=NOW + timedelta(seconds=21))


async def test_a_rate_spaces_the_attempts(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1", rate_per_s=2)
    first, second = [(await house.add_event(f"event-{n}", endpoint))[0] for n in range(2)]
    await claim(house, nth(first))
    held_up = await house.log.begin(nth(second), NOW)
    assert isinstance(held_up, Hindrance)
    assert held_up.retry_after == timedelta(seconds=0.5)
    await claim(house, nth(second), now=NOW + timedelta(seconds=0.5))


async def test_a_pause_that_one_delivery_was_asked_for_holds_up_the_others(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1")
    first, second = [(await house.add_event(f"event-{n}", endpoint))[0] for n in range(2)]
    leave = await claim(house, nth(first))
    busy = Answer(status=429, headers={"retry-after": "300"})
    outcome = await house.log.finish(nth(first), leave.token, busy, NOW)
    assert outcome.next_attempt_at == NOW + 5 * MINUTE
    held_up = await house.log.begin(nth(second), NOW + MINUTE)
    assert isinstance(held_up, Hindrance)
    assert held_up.retry_after == 4 * MINUTE


async def test_a_paused_endpoint_lets_deliveries_wait(house: House) -> None:
    job = await one(house)
    await house.endpoints.set_state(job.endpoint_id, EndpointState.PAUSED, None)
    assert isinstance(await house.log.begin(nth(job), NOW), Hindrance)


async def test_a_removed_endpoint_ends_its_deliveries(house: House) -> None:
    job = await one(house)
    await house.endpoints.remove(job.endpoint_id)
    outcome = await house.log.begin(nth(job), NOW)
    assert isinstance(outcome, AttemptOutcome)
    record = await house.book.find(job_id(job))
    assert record is not None
    assert outcome.state == record.state == DeliveryState.ENDPOINT_DISABLED


async def test_an_endpoint_of_another_owner_gets_no_foreign_event(house: House) -> None:
    job = await one(house)
    async with house.database.begin() as connection:
        await connection.execute(endpoints.update().values(owner="rival"))
    outcome = await house.log.begin(nth(job), NOW)
    assert isinstance(outcome, AttemptOutcome)
    assert outcome.error_type == "EventUnknown"


async def test_the_user_is_told_once_that_an_endpoint_fails_and_once_that_it_is_disabled(
    house: House,
) -> None:
    job = await one(house, notify_user="ada")
    told = []
    for number in range(1, 14):
        attempt = nth(job, number, forced=True)
        now = NOW + timedelta(hours=12 * number)
        outcome = await house.log.begin(attempt, now)
        if isinstance(outcome, Dispatch):
            outcome = await house.log.finish(attempt, outcome.token, BROKEN, now)
        assert isinstance(outcome, AttemptOutcome)
        told.append(outcome.notify.kind if outcome.notify else None)
    assert [kind for kind in told if kind] == [NoticeKind.FAILING, NoticeKind.DISABLED]
    assert told[9] is NoticeKind.FAILING
    assert told[10] is NoticeKind.DISABLED


async def test_a_closed_delivery_keeps_its_final_state(house: House) -> None:
    job = await one(house)
    leave = await claim(house, nth(job))
    await house.log.finish(nth(job), leave.token, OK, NOW)
    closing = Closing(delivery_id=job_id(job), state=DeliveryState.CANCELLED)
    await house.log.close(closing, NOW)
    record = await house.book.find(job_id(job))
    assert record is not None
    assert record.state is DeliveryState.DELIVERED


async def test_what_was_missed_is_told_until_it_was_made_again(house: House) -> None:
    job = await one(house)
    last = nth(job, then=None)
    leave = await claim(house, last)
    await house.log.finish(last, leave.token, BROKEN, NOW)
    assert len(await house.book.missed(job.endpoint_id)) == 1
    assert await house.book.missed(job.endpoint_id, since=NOW + MINUTE) == []
    assert await house.book.missed(job.endpoint_id, event_type="other") == []
    again = last.model_copy(update={"delivery_id": f"{last.delivery_id}:replay:1"})
    await claim(house, again, now=NOW + MINUTE)
    assert await house.book.missed(job.endpoint_id) == []


async def test_keys_and_headers_are_not_readable_in_the_database(house: House) -> None:
    _, key = await house.add_endpoint("ep_1", headers={"Authorization": "Bearer hush"})
    async with house.database.snapshot() as connection:
        row = (await connection.execute(select(endpoints))).one()
    stored = b"|".join(str(value).encode() for value in row) + row.sealed_key
    assert key.encode() not in stored
    assert b"hush" not in stored + row.sealed_headers


async def test_secrets_are_not_shown_by_what_holds_them(house: House) -> None:
    leave = await claim(house, nth(await one(house, headers={"X-Token": "hush"})))
    assert "hush" not in repr(leave)
    assert leave.keys[0] not in repr(leave)


def test_a_secret_opens_only_in_its_place_and_under_its_key() -> None:
    box = SecretBox(b"a" * 32, "endpoints")
    sealed = box.seal("whsec_x", "ep_1")
    assert box.open(sealed, "ep_1") == "whsec_x"
    with pytest.raises(SecretUnreadable):
        box.open(sealed, "ep_2")
    with pytest.raises(SecretUnreadable, match="CONVEYOR_SECRET_KEY"):
        SecretBox(b"b" * 32, "endpoints").open(sealed, "ep_1")


async def test_old_events_go_with_their_deliveries_and_attempts(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1", format=PayloadFormat.THIN)
    [old] = await house.add_event("event-old", endpoint)
    await claim(house, nth(old))
    await house.add_event("event-new", endpoint, at=NOW + MINUTE)
    pruned = await house.events.prune(NOW + timedelta(seconds=1))
    assert pruned.rows == 1
    async with house.database.snapshot() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (events, deliveries, attempts)
        ]
    assert counts == [1, 1, 0]


def arrival(event_id: str, **options: Any) -> Arrival:
    return Arrival(
        source="github",
        event_id=event_id,
        owner="acme",
        type="push",
        content_type="application/json",
        headers={},
        size=2,
        body=b"{}",
        received_at=NOW,
        **{"body_key": None, **options},
    )


async def test_of_many_who_store_one_event_one_is_first(house: House) -> None:
    stored = await asyncio.gather(*(house.inbound.add(arrival("e1")) for _ in range(8)))
    assert sorted(stored) == [False] * 7 + [True]


async def test_the_sweep_finds_what_was_never_started_and_what_lost_its_job(
    house: House,
) -> None:
    for event_id in ("waiting", "begun", "done"):
        await house.inbound.add(arrival(event_id))
    await house.inbound.started("github", "begun")
    await house.inbound.finish("github", "done", InboundState.PROCESSED, None, NOW)

    async def found(after: timedelta) -> list[str]:
        swept: list[Unstarted] = list(await house.inbound.unstarted(NOW + after))
        return sorted(unstarted.job.event_id for unstarted in swept)

    assert await found(timedelta(seconds=5)) == []
    assert await found(MINUTE) == ["waiting"]
    assert await found(timedelta(hours=8)) == ["begun", "waiting"]


async def test_old_inbound_events_go_and_name_their_bodies(house: House) -> None:
    await house.inbound.add(arrival("e1", body_key="hooks/github/e1.json"))
    await house.inbound.add(arrival("e2"))
    pruned = await house.inbound.prune(NOW + MINUTE)
    assert pruned == (2, ["hooks/github/e1.json"])
    async with house.database.snapshot() as connection:
        assert (await connection.execute(select(inbound))).all() == []


async def test_an_effect_is_claimed_once_and_not_at_all_by_a_failed_transaction(
    house: House,
) -> None:
    effect = Effect(handler="h", event_id="e", at=NOW)

    async def claim_then_fail() -> None:
        async with house.database.begin() as connection:
            assert not await processed_effect(house.database, connection, effect)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await claim_then_fail()
    for expected in (False, True):
        async with house.database.begin() as connection:
            assert await processed_effect(house.database, connection, effect) is expected


async def test_a_push_handled_twice_says_the_same_also_after_a_newer_one(house: House) -> None:
    log = PushLog(house.database)

    def push(number: int) -> Push:
        return Push(
            repository="acme/shop",
            ref="refs/heads/main",
            before="",
            after=str(number),
            commits=1,
            pushed_at=NOW + number * MINUTE,
        )

    def effect(number: int) -> Effect:
        return Effect(handler="record_push", event_id=f"e{number}", at=NOW)

    states = [await log.record(effect(number), push(number)) for number in (1, 2, 1, 0, 0)]
    assert states == ["processed", "processed", "processed", "stale", "stale"]


async def test_endpoints_are_found_by_their_owner_only(house: House) -> None:
    endpoint, _ = await house.add_endpoint("ep_1")
    assert await house.endpoints.find("rival", endpoint.id) is None
    assert await house.endpoints.of_owner("rival") == []
    assert await house.endpoints.count(OWNER) == 1

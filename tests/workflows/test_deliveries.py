"""Deliveries, from the job to the log, on a real server that jumps over the waits."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from typing_extensions import override

from jobs.base import Queue
from jobs.client import JobClient
from jobs.deliveries import DeliverWebhook, Delivery, DeliveryState
from jobs.deliveries.answers import Answer
from jobs.endpoints import EndpointState
from jobs.errors import ConflictError
from jobs.status import JobState
from tests.webhooks import House, ScriptedSender, job_id, statuses
from workflows.deliveries import DeliverWebhookWorkflow

FAST = [timedelta(0), timedelta(seconds=1), timedelta(seconds=2)]


async def start(
    client: Client, job: DeliverWebhook
) -> WorkflowHandle[DeliverWebhookWorkflow, Delivery]:
    return await client.start_workflow(
        DeliverWebhookWorkflow.run, job, id=job_id(job), task_queue=Queue.WEBHOOKS
    )


async def failure_type(handle: WorkflowHandle[DeliverWebhookWorkflow, Delivery]) -> str | None:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.type


async def deliver(house: House, client: Client, job: DeliverWebhook) -> Delivery:
    async with house.worker(client):
        return await (await start(client, job)).result()


async def test_an_accepted_event_is_delivered_at_the_first_attempt(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_ok")
    [job] = await house.add_event(unique, endpoint)
    result = await deliver(house, temporal, job)
    assert result == Delivery(state=DeliveryState.DELIVERED, attempts=1, status=204)
    record = await house.book.find(job_id(job))
    assert record is not None
    assert (record.state, record.attempts, record.last_status) == ("delivered", 1, 204)


async def test_a_failing_endpoint_is_tried_by_its_schedule_with_one_id_and_the_same_bytes(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_500")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500, 404, 301, 503, 204)
    result = await deliver(house, temporal, job)
    assert (result.state, result.attempts) == (DeliveryState.DELIVERED, 5)
    assert {request.headers["webhook-id"] for request in house.sender.requests} == {unique}
    assert len({request.body for request in house.sender.requests}) == 1
    attempts = await house.book.attempts_of(job_id(job))
    assert [attempt.answer.status for attempt in attempts if attempt.answer] == [
        500,
        404,
        301,
        503,
        204,
    ]


async def test_the_waits_between_attempts_are_those_of_the_schedule(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_waits")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(temporal):
        assert await failure_type(await start(temporal, job)) == "DeliveryExhausted"
    times = [attempt.started_at for attempt in await house.book.attempts_of(job_id(job))]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 11
    for wait, planned in zip(waits, job.schedule[1:], strict=True):
        assert wait >= planned * 0.9


async def test_an_attempt_with_its_wait_costs_six_events_of_history(
    house: House, client: Client, unique: str
) -> None:
    sizes = []
    for attempts in (1, 4):
        endpoint, _ = await house.add_endpoint(f"ep_{attempts}", schedule=["PT0.1S"] * 4)
        [job] = await house.add_event(f"{unique}-{attempts}", endpoint)
        house.sender.answers = statuses(*[500] * (attempts - 1), 204)
        async with house.worker(client):
            handle = await start(client, job)
            await handle.result()
        sizes.append(len((await handle.fetch_history()).events))
    assert (sizes[1] - sizes[0]) / 3 <= 6


async def test_while_it_waits_the_server_knows_why_and_until_when(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_status", schedule=["PT0S", "PT12H"])
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(client):
        handle = await start(client, job)
        while True:
            description = await handle.describe()
            pending = description.raw_description.pending_activities
            if pending and pending[0].HasField("last_failure"):
                break
            await asyncio.sleep(0.05)
        await handle.terminate()
    assert pending[0].activity_id == "2of2"
    assert pending[0].last_failure.application_failure_info.type == "NotYetDue"
    assert pending[0].HasField("next_attempt_schedule_time")


async def test_retry_now_cuts_the_wait_short(house: House, client: Client, unique: str) -> None:
    endpoint, _ = await house.add_endpoint("ep_now", schedule=["PT0S", "PT12H"])
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500, 204)
    async with house.worker(client):
        handle = await start(client, job)
        await until_waiting(house, job)
        await handle.execute_update(DeliverWebhookWorkflow.retry_now)
        result = await handle.result()
    assert (result.state, result.attempts) == (DeliveryState.DELIVERED, 2)


async def test_a_job_that_waits_for_its_next_attempt_is_hurried_as_jobs_are(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_hurry", schedule=["PT0S", "PT12H"])
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500, 204)
    jobs = JobClient(client)
    async with house.worker(client):
        handle = await start(client, job)
        while True:
            if (await jobs.status(handle.id)).state is JobState.RETRYING:
                break
            await asyncio.sleep(0.05)
        with pytest.raises(ConflictError, match="`--now` makes it at once"):
            await jobs.retry(handle.id)
        retried = await jobs.retry(handle.id, now=True)
        result = await handle.result()
    assert retried.how == "at once with 2of2 deliveries.attempt"
    assert (result.state, result.attempts) == (DeliveryState.DELIVERED, 2)


async def test_cancel_ends_the_waiting_and_says_so_in_the_log(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_cancel")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(client):
        handle = await start(client, job)
        await until_waiting(house, job)
        await handle.execute_update(DeliverWebhookWorkflow.cancel)
        result = await handle.result()
    assert result.state is DeliveryState.CANCELLED
    record = await house.book.find(job_id(job))
    assert record is not None
    assert record.state is DeliveryState.CANCELLED


async def test_a_cancelled_job_is_cancelled_in_the_log_too(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_cancelled_job")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(client):
        handle = await start(client, job)
        await until_waiting(house, job)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    record = await house.book.find(job_id(job))
    assert record is not None
    assert record.state is DeliveryState.CANCELLED


class AnswersOnceCancelled(ScriptedSender):
    """Answers when a heartbeat has brought the cancellation to the step that asked."""

    @override
    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float
    ) -> Answer:
        answer = await super().post(url, body, headers, timeout_s=timeout_s)
        await activity.wait_for_cancelled()
        return answer


async def test_a_cancel_during_a_request_reports_what_it_came_to(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_midway")
    [job] = await house.add_event(unique, endpoint)
    house.sender = AnswersOnceCancelled()
    async with house.worker(client):
        handle = await start(client, job)
        await house.sender.called.wait()
        await handle.cancel()
        result = await handle.result()
    assert result.state is DeliveryState.DELIVERED
    assert len(house.sender.requests) == 1


async def test_an_endpoint_that_is_gone_is_disabled_and_its_user_told(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_gone", notify_user="ada")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(410)
    async with house.worker(temporal):
        handle = await start(temporal, job)
        assert await failure_type(handle) == "EndpointGone"
    found = await house.endpoints.find(endpoint.owner, endpoint.id)
    assert found is not None
    assert (found.state, found.disabled_reason) == (EndpointState.DISABLED, "it answered 410")
    started = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_type.name
        for event in (await handle.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    ]
    assert started == ["SendEmail"]


async def test_a_refused_address_fails_the_delivery_at_the_first_attempt(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_private")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = [Answer(error_type="EndpointAddressRefused", error="private")]
    async with house.worker(temporal):
        assert await failure_type(await start(temporal, job)) == "EndpointAddressRefused"
    assert len(house.sender.requests) == 1


async def test_a_failed_delivery_that_is_run_again_makes_its_attempts_anew(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_again", schedule=FAST)
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500, 500, 500, 204)
    async with house.worker(temporal):
        assert await failure_type(await start(temporal, job)) == "DeliveryExhausted"
        result = await (await start(temporal, job)).result()
    assert (result.state, result.attempts) == (DeliveryState.DELIVERED, 1)
    assert len(await house.book.attempts_of(job_id(job))) == 4


async def test_a_delivery_of_an_unknown_event_fails_at_once(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_unknown")
    job = DeliverWebhook(event_id=unique, endpoint_id=endpoint.id)
    async with house.worker(temporal):
        assert await failure_type(await start(temporal, job)) == "EventUnknown"


async def test_a_disabled_endpoint_gets_no_request(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_off")
    [job] = await house.add_event(unique, endpoint)
    await house.endpoints.set_state(endpoint.id, EndpointState.DISABLED, "switched off")
    async with house.worker(temporal):
        assert await failure_type(await start(temporal, job)) == "EndpointDisabled"
    assert house.sender.requests == []


async def test_retry_after_moves_the_next_attempt(
    house: House, temporal: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_later", schedule=FAST)
    [job] = await house.add_event(unique, endpoint)
    busy = Answer(status=503, headers={"retry-after": "3600"})
    house.sender.answers = [busy, Answer(status=204)]
    await deliver(house, temporal, job)
    first, second = await house.book.attempts_of(job_id(job))
    assert second.started_at - first.started_at >= timedelta(hours=1)


async def test_five_days_without_success_disable_an_endpoint_after_a_warning(
    house: House, temporal: Client, unique: str
) -> None:
    days = ["P1D"] * 12
    endpoint, _ = await house.add_endpoint("ep_dead", schedule=["PT0S", *days], notify_user="ada")
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = [Answer(error_type="EndpointUnreachable", error="refused")]
    async with house.worker(temporal):
        handle = await start(temporal, job)
        assert await failure_type(handle) == "EndpointDisabled"
    mails = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in (await handle.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    ]
    assert len(house.sender.requests) == 10
    assert [mail.split(":")[1] for mail in mails] == ["disabled"]


async def until_waiting(house: House, job: DeliverWebhook) -> None:
    """Return when the first attempt has failed and the second waits."""
    while True:
        record = await house.book.find(job_id(job))
        if record is not None and record.state is DeliveryState.WAITING:
            return
        await asyncio.sleep(0.02)

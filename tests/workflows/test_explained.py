"""What ``explain`` says of jobs that wait by themselves: deliveries, and mails between rounds."""

from datetime import timedelta

from temporalio.client import Client

from jobs.client import Explanation, JobClient
from jobs.client.explaining import Reason
from jobs.emails import EmailDeferred
from tests.webhooks import House, job_id, statuses
from tests.workflows.test_deliveries import start as start_delivery
from tests.workflows.test_emails import WELCOME, ScriptedSend, start, worker
from workflows.deliveries import DeliverWebhookWorkflow


async def until_told(client: Client, name: str, reason: Reason) -> Explanation:
    jobs = JobClient(client)
    while (told := await jobs.explain(name)).reason is not reason:
        assert not told.state.final, told
    return told


async def test_a_delivery_waits_for_its_next_attempt_and_says_how_the_last_went(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_due", schedule=["PT0S", "PT12H"])
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(client):
        handle = await start_delivery(client, job)
        told = await until_told(client, handle.id, Reason.NOT_YET_DUE)
        await handle.execute_update(DeliverWebhookWorkflow.cancel)
    assert told.until is not None
    assert told.text == (
        f"Attempt 2 of 2 is at {told.until:%Y-%m-%d %H:%M:%S} UTC by the endpoint's schedule. "
        "The one before failed: HTTP 500."
    )


async def test_an_open_circuit_holds_a_delivery_up(
    house: House, client: Client, unique: str
) -> None:
    endpoint, _ = await house.add_endpoint("ep_open", schedule=["PT0S"] * 12)
    [job] = await house.add_event(unique, endpoint)
    house.sender.answers = statuses(500)
    async with house.worker(client):
        handle = await start_delivery(client, job)
        told = await until_told(client, job_id(job), Reason.ENDPOINT_WAITS)
        await handle.terminate()
    assert told.until is not None
    assert told.text == (
        "The endpoint takes no attempt now (circuit open): it is asked again at "
        f"{told.until:%Y-%m-%d %H:%M:%S} UTC."
    )
    assert len(house.sender.requests) == 10


async def test_a_mail_between_two_rounds_says_when_it_is_tried_again(
    client: Client, unique: str
) -> None:
    later = timedelta(seconds=0.01)
    steps = ScriptedSend([EmailDeferred("not now", retry_after=later) for _ in range(9)])
    async with worker(client, unique, steps):
        handle = await start(client, WELCOME, unique)
        told = await until_told(client, handle.id, Reason.ROUND_DUE)
        await handle.terminate()
    assert told.until is not None
    assert told.text == (
        f"It waits until {told.until:%Y-%m-%d %H:%M:%S} UTC (until the next round of attempts). "
        "The last attempt failed with EmailDeferred: not now."
    )

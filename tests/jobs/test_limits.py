"""Limits and pauses on a real server, which alone enforces them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.queues import QueueActivities
from jobs.base import JobKind
from jobs.client import JobClient
from jobs.client.limits import QueueKeeper, apply_rates, pause, resume, set_rate
from jobs.client.queues import ACTIVITY, queue_status
from jobs.errors import ConflictError, InvalidInputError
from jobs.limits import (
    EndPause,
    Pause,
    end_pause_id,
    parse_rate,
    rate_words,
    read_reason,
    write_reason,
)
from jobs.status import JobState
from tests.jobs.conftest import StartWorker
from tests.jobs.queues import waiting
from workflows.queues import EndPauseWorkflow
from workflows.sandbox import RUNNER


@asynccontextmanager
async def keeping(client: Client, queue: str) -> AsyncIterator[None]:
    """Run a worker that does nothing for ``queue`` but end its pauses."""
    config = client.config()
    other = Client(**config)
    steps = QueueActivities(QueueKeeper(client))
    async with Worker(
        other,
        task_queue=queue,
        workflows=[EndPauseWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        yield


async def test_a_paused_queue_starts_no_step_and_goes_on_when_it_is_resumed(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any], worker: StartWorker
) -> None:
    paused = await pause(client, kind.queue, reason="the relay is down", author="ada")
    async with worker() as working:
        job = await jobs.submit(kind.name, {"text": "hello"})
        await waiting(client, kind.queue, 1)
        begun_while_paused = list(working.steps.begun)
        resumed = await resume(client, kind.queue)
        done = await jobs.wait(job.id, within=timedelta(seconds=60))

    assert (paused.paused, paused.reason, paused.author) == (True, "the relay is down", "ada")
    assert (paused.until, paused.rate) == (None, None)
    assert begun_while_paused == []
    assert (resumed.paused, resumed.reason, resumed.author, resumed.rate) == (
        False, None, None, None)  # fmt: skip
    assert done.state is JobState.COMPLETED


async def test_a_job_of_a_paused_queue_can_be_cancelled(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any], worker: StartWorker
) -> None:
    await pause(client, kind.queue, reason="the relay is down", author="ada")
    async with worker():
        job = await jobs.submit(kind.name, {"text": "hello"})
        await waiting(client, kind.queue, 1)
        await jobs.cancel(job.id)
        assert (await jobs.wait(job.id, within=timedelta(seconds=60))).state is JobState.CANCELLED


async def test_a_pause_with_an_end_is_ended_by_whoever_works_on_the_queue(
    client: Client, unique: str
) -> None:
    await set_rate(client, unique, 600, reason="a free plan", author="grace")
    lasts = timedelta(seconds=1)
    paused = await pause(client, unique, reason="a deploy", author="ada", lasts=lasts)
    async with keeping(client, unique):
        ended = await client.get_workflow_handle(end_pause_id(unique), result_type=bool).result()
    after = await queue_status(client, unique)

    assert paused.until is not None
    assert (paused.paused, paused.rate) == (True, 600)
    assert ended
    assert (after.paused, after.rate, after.reason, after.author) == (
        False, 600, "a free plan", "grace")  # fmt: skip


async def test_the_end_of_a_pause_leaves_a_later_one_alone(client: Client, unique: str) -> None:
    lasts = timedelta(hours=1)
    first = await pause(client, unique, reason="a deploy", author="ada", lasts=lasts)
    assert first.until is not None
    await pause(client, unique, reason="an incident", author="grace")

    ended = await QueueKeeper(client).end_pause(EndPause(queue=unique, until=first.until))

    after = await queue_status(client, unique)
    assert not ended
    assert (after.paused, after.reason, after.until) == (True, "an incident", None)
    waiting = await client.get_workflow_handle(end_pause_id(unique)).describe()
    assert waiting.close_time is not None


async def test_a_limit_that_is_set_during_a_pause_holds_after_it(
    client: Client, unique: str
) -> None:
    await pause(client, unique, reason="a deploy", author="ada")
    during = await set_rate(client, unique, parse_rate("10/m"), reason="plan", author="grace")
    after = await resume(client, unique)

    assert (during.paused, during.reason, during.author) == (True, "a deploy", "ada")
    assert (after.paused, rate_words(after.rate), after.reason, after.author) == (
        False, "10/m", "plan", "grace")  # fmt: skip


async def test_jobs_start_no_faster_than_the_limit_allows(
    client: Client, jobs: JobClient, kind: JobKind[Any, Any], worker: StartWorker
) -> None:
    """With one step an hour allowed the second of five is never reached while the test looks."""
    await set_rate(client, kind.queue, parse_rate("1/h"), reason="a quota", author="ada")
    async with worker() as working:
        for _ in range(5):
            await jobs.submit(kind.name, {"text": "hello"})
        await waiting(client, kind.queue, 4)
        assert len(working.steps.begun) <= 1


async def test_what_the_settings_limit_is_set_once_and_gives_way_to_a_person(
    client: Client, unique: str
) -> None:
    first = await apply_rates(client, {unique: 2.0})
    again = await apply_rates(client, {unique: 2.0})
    await set_rate(client, unique, None, reason="a bigger plan", author="ada")
    kept = await apply_rates(client, {unique: 2.0})

    assert (first, again, kept) == (
        [f"{unique} 2/s"], [], [f"{unique} stays unlimited, set by ada"])  # fmt: skip
    assert (await queue_status(client, unique)).rate is None


async def test_the_settings_rate_comes_back_after_a_pause_and_can_still_change(
    client: Client, unique: str
) -> None:
    await apply_rates(client, {unique: 2.0})
    await pause(client, unique, reason="a deploy", author="ada")
    assert await apply_rates(client, {unique: 3.0}) == [f"{unique} stays paused by ada"]
    await resume(client, unique)
    assert await apply_rates(client, {unique: 3.0}) == [f"{unique} 3/s"]


async def test_a_pause_by_another_program_is_told_and_can_be_resumed(
    client: Client, unique: str
) -> None:
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(
        rate_limit=RateLimit(requests_per_second=0), reason="by hand"
    )
    await client.workflow_service.update_task_queue_config(
        UpdateTaskQueueConfigRequest(
            namespace=client.namespace, task_queue=unique, task_queue_type=ACTIVITY,
            identity="temporal-cli", update_queue_rate_limit=update,
        )
    )  # fmt: skip
    paused = await queue_status(client, unique)
    assert (paused.paused, paused.reason, paused.author) == (True, "by hand", "temporal-cli")
    assert not (await resume(client, unique)).paused


@pytest.mark.parametrize("rate", [-1.0, 0.0, float("nan"), 1e9])
async def test_a_rate_that_can_not_be_is_refused(client: Client, unique: str, rate: float) -> None:
    with pytest.raises(InvalidInputError, match=r"rate: .* use a rate above 0"):
        await set_rate(client, unique, rate, reason="why not", author="ada")
    assert (await queue_status(client, unique)).author is None


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 201])
async def test_a_pause_needs_a_reason_of_one_line(client: Client, unique: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="reason: say why"):
        await pause(client, unique, reason=reason, author="ada")
    assert not (await queue_status(client, unique)).paused


async def test_resuming_a_queue_that_is_not_paused_is_a_conflict(
    client: Client, unique: str
) -> None:
    with pytest.raises(ConflictError, match="is not paused"):
        await resume(client, unique)


async def test_the_longest_reasons_and_authors_fit_into_what_the_server_keeps(
    client: Client, unique: str
) -> None:
    await set_rate(client, unique, 1.0, reason='"' * 200, author='"' * 100)
    paused = await pause(
        client, unique, reason="é" * 100, author="\\" * 100, lasts=timedelta(days=366)
    )
    assert (paused.reason, (await resume(client, unique)).reason) == ("é" * 100, '"' * 200)


def test_reasons_are_read_back_as_they_were_written() -> None:
    pause_kept = Pause(until=datetime(2027, 1, 31, 9, tzinfo=UTC))
    assert read_reason(write_reason("why {so}", pause_kept)) == ("why {so}", pause_kept)
    assert read_reason("only words") == ("only words", Pause())


@pytest.mark.parametrize("text", ["10/m", "0.5/s", "1/h", "3/d", "100/s", "7/m"])
def test_a_rate_is_told_as_it_was_written(text: str) -> None:
    assert parse_rate(rate_words(parse_rate(text))) == pytest.approx(parse_rate(text))


@pytest.mark.parametrize("text", ["-1/s", "10", "ten/m", "10/w", "1e3/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10/m"):
        parse_rate(text)

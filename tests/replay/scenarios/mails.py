"""Mails, one by one and to many: refused, put off, cut in the middle."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from jobs.base import Queue
from jobs.mailings import CHUNK
from jobs.status import JobState
from tests.mail_relay import DROP
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios

ADA: Final = "ada@example.com"
GONE: Final = "gone@example.com"
"""Refused once, and suppressed from then on."""
LATER: Final = "451 4.7.1 greylisted"
CANCEL_TRAVELS_S: Final = 3
"""A heartbeat brings it to the step."""
WELCOME: Final[Mapping[str, Any]] = {"template": "welcome", "to": ADA, "data": {"name": "Ada"}}
RESET: Final = {**WELCOME, "template": "password-reset", "request_id": "r-1"}
NEWS: Final = {"template": "newsletter", "data": {"title": "News", "paragraphs": ["One"]}}


async def retried(house: House) -> Sequence[str]:
    """The relay hangs up once."""
    house.relay.rcpt = [DROP]
    job_id = await house.submit("email", WELCOME)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def refused(house: House) -> Sequence[str]:
    """The relay knows no such recipient."""
    house.relay.refuse[GONE] = "550 5.1.1 no such user"
    job_id = await house.submit("email", {**WELCOME, "to": GONE})
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def put_off(house: House) -> Sequence[str]:
    """The relay says "later" through a round of attempts and more."""
    house.relay.rcpt = [LATER] * 4
    job_id = await house.submit("email", WELCOME)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def put_off_too_long(house: House) -> Sequence[str]:
    """The relay says "later" until the next round would be too late."""
    house.relay.refuse[ADA] = LATER
    job_id = await house.submit("email", RESET)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def never_begun(house: House) -> Sequence[str]:
    """No worker takes the step until the mail is of no use."""
    job_id = await house.submit("email", WELCOME)
    async with house.deciding():
        await house.limit_step(job_id, "1of1", timedelta(seconds=1))
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def cancelled_before_its_step(house: House) -> Sequence[str]:
    """The job is cancelled before a worker has begun it."""
    job_id = await house.submit("email", WELCOME)
    await house.handle(job_id).cancel()
    async with house.working():
        assert await house.finished(job_id) is JobState.CANCELLED
    return (job_id,)


async def cancelled_in_step(house: House) -> Sequence[str]:
    """The job is cancelled while the relay thinks."""
    stored, answer = asyncio.Event(), asyncio.Event()
    house.relay.before_answer = (stored, answer)
    job_id = await house.submit("email", WELCOME)
    async with house.working():
        await stored.wait()
        await house.handle(job_id).cancel()
        await asyncio.sleep(CANCEL_TRAVELS_S)
        answer.set()
        await house.finished(job_id)
    return (job_id,)


async def lost_worker(house: House) -> Sequence[str]:
    """A worker vanishes in the step; another does it."""
    job_id = await house.submit("email", WELCOME)
    await house.lose_workers(Queue.EMAILS, 1)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def poison(house: House) -> Sequence[str]:
    """The step loses its worker once too often."""
    job_id = await house.submit("email", WELCOME)
    await house.lose_workers(Queue.EMAILS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def mailing_put_off(house: House) -> Sequence[str]:
    """Some servers say "later"; the mailing comes back to them."""
    house.relay.rcpt = [LATER] * 2
    job_id = await house.submit("mailing", {**NEWS, "recipients": ["ada", "grace"]})
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def mailing_in_runs(house: House) -> Sequence[str]:
    """So many chunks that the server asks for a new run."""
    many = "".join(f'"{number}@example.com"\n' for number in range(CHUNK * 8))
    await house.adapters.storage.put("lists/many.jsonl", many.encode())
    job_id = await house.submit("mailing", {**NEWS, "recipients_source": "lists/many.jsonl"})
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def mailing_with_poison(house: House) -> Sequence[str]:
    """A chunk is cut by a shutdown, loses three workers, and is taken up again."""
    stored, answer = asyncio.Event(), asyncio.Event()
    house.relay.before_answer = (stored, answer)
    job_id = await house.submit("mailing", {**NEWS, "recipients": ["ada", "grace"]})
    async with house.working():
        await stored.wait()
    answer.set()
    await house.lose_workers(Queue.EMAILS, 3)
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


ALL: Final = (
    *scenarios(
        retried,
        refused,
        cancelled_before_its_step,
        cancelled_in_step,
        never_begun,
        lost_worker,
        poison,
        mailing_with_poison,
    ),
    *scenarios(put_off, put_off_too_long, mailing_put_off, mailing_in_runs, skip_time=True),
)

"""Workers replaced one after another under load: nothing lost, nothing twice, no attempt spent."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from temporalio.client import Client

from jobs.client import JobClient
from jobs.emails import EMAIL
from jobs.status import JobState, JobStatus
from tests.end_to_end.installation import ROOT, Installation, WorkerProcess
from tests.mail_relay import ScriptedRelay, mail_relay

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
"""How often every worker is replaced; the long form is ``FAULT_ROUNDS=5``."""
WORKERS = 3
MAILS_PER_STOP = 20
ANSWER_S = 0.2
"""What the relay takes to answer a message, so that mails are under way when a worker stops."""
PHOTO = ROOT / "examples" / "photo.jpg"


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with mail_relay(relay=ScriptedRelay(delay_s=ANSWER_S)) as opened:
        yield opened


@pytest.fixture
def installation(client: Client, relay: ScriptedRelay, tmp_path: Path) -> Installation:
    """A data folder whose workers send to the relay."""
    return Installation(
        tmp_path,
        {
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "CONVEYOR_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none",
        },
    )


@dataclass
class Fleet:
    """Worker processes that are replaced as a deployment replaces them: the new one first."""

    installation: Installation
    running: list[tuple[AbstractContextManager[WorkerProcess], WorkerProcess]] = field(
        default_factory=list
    )

    async def add(self) -> None:
        """Start one more."""
        opened = self.installation.worker("--queue", "emails,images")
        self.running.append((opened, await asyncio.to_thread(opened.__enter__)))

    async def replace_oldest(self) -> None:
        """Start a new one, then stop the one that has run longest; it must end by itself."""
        await self.add()
        opened, worker = self.running.pop(0)
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
        await asyncio.to_thread(opened.__exit__, None, None, None)

    async def stop(self) -> None:
        """End all."""
        for opened, _ in self.running:
            await asyncio.to_thread(opened.__exit__, None, None, None)


async def submit_mails(jobs: JobClient, prefix: str, count: int) -> dict[str, str]:
    """Submit mails and return their jobs by recipient."""
    ids = {}
    for number in range(count):
        to = f"{prefix}-{number}@example.com"
        data = {"template": "welcome", "to": to, "data": {"name": "Ada"}}
        ids[to] = (await jobs.submit(EMAIL.name, data)).id
    return ids


async def ended(jobs: JobClient, job_id: str) -> JobStatus:
    """Return the job when it is done; it must have done well at its first attempt."""
    job = await jobs.wait(job_id)
    assert job.state is JobState.COMPLETED, job.error
    return job


async def test_a_rolling_restart_under_load_loses_nothing_and_eats_no_attempt(
    client: Client, relay: ScriptedRelay, installation: Installation, unique: str
) -> None:
    jobs, fleet, stops = JobClient(client), Fleet(installation), WORKERS * ROUNDS
    stored = await asyncio.to_thread(
        installation.run,
        "submit",
        "image",
        f"source=@{PHOTO}",
        'operations:=[{"type":"blur","radius":50},{"type":"resize","width":200}]',
    )
    pictures = [stored.out.strip()]
    mails = await submit_mails(jobs, unique, MAILS_PER_STOP * (stops + 1))
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(fleet.add())
    under_way = 0
    for stop in range(1, stops + 1):
        await relay.until(MAILS_PER_STOP * stop // 2)
        under_way += len(mails) - len(relay.received)
        await fleet.replace_oldest()

    done = [await ended(jobs, job_id) for job_id in (*mails.values(), *pictures)]
    await fleet.stop()
    copies = Counter(received.recipient for received in relay.received)
    sys.stderr.write(
        f"\n{stops} workers replaced, {len(done)} jobs submitted, {len(done)} completed, "
        f"delivered twice {sum(n > 1 for n in copies.values())}, "
        f"lost {len(mails.keys() - copies.keys())}, "
        f"attempts {dict(Counter(job.attempts for job in done))}\n"
    )
    assert under_way > 0
    assert copies == dict.fromkeys(mails, 1)
    assert {job.attempts for job in done} == {1}

"""Mails whose worker is killed at random moments: each delivered once, or named unknown."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from jobs.client import JobClient
from jobs.emails import EMAIL
from jobs.mailings import MAILING
from jobs.status import JobState
from tests.end_to_end.installation import Installation
from tests.mail_relay import ScriptedRelay, mail_relay

pytestmark = pytest.mark.slow

MAILS = int(os.environ.get("FAULT_MAILS", "100"))
"""The long form is ``FAULT_MAILS=500``."""
LANES = 5
"""Mails that a worker sends at once."""
KILLS = min(10, MAILS // 25)
"""So few that, though each leaves up to five mails claimed and unsent, the next is reached."""
ANSWER_S = 0.02
"""What the relay takes to answer a message: room for a kill between message and answer."""
SEED = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))  # noqa: S311 - no secret


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
            "CONVEYOR_STORAGE_URL": f"file://{tmp_path / 'objects'}",
        },
    )


async def kill_workers(installation: Installation, relay: ScriptedRelay, until: int) -> None:
    """Start a worker and kill it while it sends, again and again.

    Each leaves up to five mails that were claimed and never come: nobody waits for those.
    """
    comes = until - LANES * KILLS
    moments = random.Random(SEED)  # noqa: S311 - no secret
    for _ in range(KILLS):
        running = installation.worker("--queue", "emails")
        worker = await asyncio.to_thread(running.__enter__)
        await relay.until(min(len(relay.received) + until // (KILLS + 2), comes))
        await asyncio.sleep(moments.uniform(0, 2 * ANSWER_S))
        worker.process.kill()
        await asyncio.to_thread(running.__exit__, None, None, None)


def check_deliveries(relay: ScriptedRelay, outcomes: dict[str, str]) -> Counter[str]:
    """Return the outcomes counted; nobody got two copies, and nobody who was sent to got none."""
    copies = Counter(received.recipient for received in relay.received)
    counted = Counter(outcomes.values())
    lost = [to for to, outcome in outcomes.items() if outcome == "sent" and not copies[to]]
    sys.stderr.write(
        f"\nseed {SEED}: submitted {len(outcomes)}, delivered once "
        f"{sum(count == 1 for count in copies.values())}, outcomes {dict(counted)}, "
        f"twice {sum(count > 1 for count in copies.values())}, lost {len(lost)}\n"
    )
    assert lost == []
    assert max(copies.values()) == 1
    return counted


async def test_of_many_mails_none_is_lost_or_doubled_though_workers_are_killed(
    client: Client, relay: ScriptedRelay, installation: Installation, unique: str
) -> None:
    jobs = JobClient(client)
    ids = {}
    for number in range(MAILS):
        to = f"{unique}-{number}@example.com"
        data = {"template": "welcome", "to": to, "data": {"name": "Ada"}}
        ids[to] = (await jobs.submit(EMAIL.name, data)).id

    await kill_workers(installation, relay, MAILS)
    running = installation.worker("--queue", "emails")
    await asyncio.to_thread(running.__enter__)
    outcomes = {}
    for to, job_id in ids.items():
        status = await jobs.wait(job_id)
        assert status.state is JobState.COMPLETED, status.error
        assert status.result is not None
        outcomes[to] = status.result["delivery"]
    await asyncio.to_thread(running.__exit__, None, None, None)

    counted = check_deliveries(relay, outcomes)
    assert counted["sent"] + counted["unknown"] == MAILS
    assert counted["unknown"] <= LANES * KILLS


async def test_of_a_mailing_none_is_skipped_or_doubled_though_workers_are_killed(
    client: Client, relay: ScriptedRelay, installation: Installation, unique: str, tmp_path: Path
) -> None:
    jobs = JobClient(client)
    recipients = [f"{unique}-{number}@example.com" for number in range(MAILS)]
    data: dict[str, Any] = {
        "template": "newsletter",
        "data": {"title": "News", "paragraphs": ["One"]},
        "recipients": recipients,
    }
    job_id = (await jobs.submit(MAILING.name, data)).id

    await kill_workers(installation, relay, MAILS)
    running = installation.worker("--queue", "emails")
    await asyncio.to_thread(running.__enter__)
    status = await jobs.wait(job_id)
    await asyncio.to_thread(running.__exit__, None, None, None)

    assert status.state is JobState.COMPLETED, status.error
    assert status.result is not None
    file = tmp_path / "objects" / status.result["outcomes"]
    lines = [json.loads(line) for line in (await asyncio.to_thread(file.read_text)).splitlines()]
    counted = check_deliveries(relay, {line["to"]: line["outcome"] for line in lines})
    assert counted["sent"] + counted["unknown"] == MAILS
    assert counted["unknown"] <= LANES * KILLS

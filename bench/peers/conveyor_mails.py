"""Mails as our own jobs: ``python -m bench.peers.conveyor_mails email`` or ``mailing``.

``email`` is a job for each, ``mailing`` one job for all. When nothing more is said, it waits for
the jobs and prints how many mails they call unknown.
"""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import settings
from bench.peers.mail import numbered
from bench.peers.orders import submit_at_once_as_told
from jobs.client import JobClient, connect
from opening import open_storage

MAIL: Final[dict[str, Any]] = {"template": "welcome", "data": {"name": "Ada"}}
PATIENCE_S: Final = 90


async def emails(jobs: JobClient) -> list[str]:
    """Submit a job for each mail; return their ids."""
    ids = []

    async def submit(number: int) -> None:
        to = f"{numbered(number)}@example.com"
        ids.append((await jobs.submit("email", {**MAIL, "to": to})).id)

    await submit_at_once_as_told(submit)
    return ids


async def mailings(jobs: JobClient) -> list[str]:
    """Submit a job for each line that is said; return their ids."""
    ids = []
    storage = open_storage(settings.load())
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        first, count = map(int, line.split())
        name = f"{uuid4().hex}.jsonl"
        numbers = range(first, first + count)
        entries = [json.dumps({"to": f"{numbered(number)}@example.com"}) for number in numbers]
        await storage.put(name, "\n".join(entries).encode())
        ids.append((await jobs.submit("mailing", {**MAIL, "recipients_source": name})).id)
        print("submitted", flush=True)
    return ids


async def unknown(jobs: JobClient, ids: list[str]) -> int:
    """Return how many mails the jobs call unknown; one that does not end names none."""
    found = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            for job_id in ids:
                result = (await jobs.wait(job_id)).result or {}
                found += result.get("delivery") == "unknown"
                found += int(result.get("unknown", 0))
    return found


async def main() -> None:
    """Submit when told to."""
    jobs = JobClient(await connect())
    submit = {"email": emails, "mailing": mailings}[sys.argv[1]]
    print("unknown", await unknown(jobs, await submit(jobs)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""A hundred clients submit the same ids with different payloads, all at once.

Each id must have one run, everybody with its payload must get it, and everybody else must be told.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from adapters import devserver
from jobs.client import JobClient, Submission, connect
from jobs.emails import EMAIL
from jobs.errors import ConflictError
from jobs.status import JobState
from tests.end_to_end.installation import Installation
from tests.mail_relay import mail_relay

CLIENTS: Final = 100
PAYLOADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What a storm came to."""

    clients: int
    ids: int
    submissions: int
    made: int
    """Answers that said: this submission made the job."""
    found: int
    """Answers that gave the job of the same payload."""
    told: int
    """Conflicts that were told."""
    untold: int
    """Answers that gave a job of another payload."""
    mails: int
    """Mails that arrived, one for each id if all is well."""
    astray: int
    """Mails of a payload that was refused, or second ones."""

    @property
    def proved(self) -> bool:
        """Whether there was one run per id, and every conflict was told."""
        whole = self.made + self.found + self.told == self.submissions
        return whole and self.made == self.mails == self.ids and not (self.untold or self.astray)


async def storm(ids: int, say: Callable[[str], None]) -> Storm:
    """Let the clients submit so many ids, and count answers and mails."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="storm-")))
        server = await stack.enter_async_context(await devserver.ensure(folder, port=0))
        relay = await stack.enter_async_context(mail_relay())
        address = server.server.address
        installation = Installation(
            folder,
            {
                "TEMPORAL_ADDRESS": address,
                "CONVEYOR_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none",
            },
        )
        clients = [JobClient(await connect(address=address)) for _ in range(CLIENTS)]
        answers: Counter[str] = Counter()
        winners: dict[int, str] = {}

        async def submit(client: JobClient, variant: int, number: int) -> None:
            to = f"storm-{number}-{variant}@example.com"
            data = {"template": "welcome", "to": to, "data": {"name": "Ada"}}
            try:
                job = await client.submit(EMAIL.name, data, Submission(key=f"storm-{number}"))
            except ConflictError:
                answers["told"] += 1
                return
            answers["made" if job.created else "found"] += 1
            if winners.setdefault(number, to) != to:
                answers["untold"] += 1

        for number in range(ids):
            await asyncio.gather(
                *(submit(client, index % PAYLOADS, number) for index, client in enumerate(clients))
            )
        say(f"{CLIENTS * ids:,} submissions of {ids} ids are answered")
        running = installation.worker("--queue", "emails")
        await asyncio.to_thread(running.__enter__)
        try:
            for number in range(ids):
                job = await clients[0].wait(f"{EMAIL.name}-storm-{number}")
                assert job.state is JobState.COMPLETED, job.error
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
        mails = Counter(received.recipient for received in relay.received)
        return Storm(
            clients=CLIENTS,
            ids=ids,
            submissions=CLIENTS * ids,
            made=answers["made"],
            found=answers["found"],
            told=answers["told"],
            untold=answers["untold"],
            mails=mails.total(),
            astray=sum((mails - Counter(winners.values())).values()),
        )

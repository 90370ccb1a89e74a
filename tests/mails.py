"""Email steps over real adapters, as the worker wires them: what tests of mail jobs share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from temporalio.testing import ActivityEnvironment

from activities.emails import EmailActivities
from activities.mailings import MailingActivities
from adapters.database import Database, migrate
from adapters.database.emails import EmailLedger
from adapters.database.mailings import MailingLedger, Recipients
from adapters.database.password_resets import PasswordResets
from adapters.database.users import Users, load_demo
from adapters.mail_rendering import MailComposer
from adapters.smtp import Relay, SmtpMailer
from adapters.storage import Storage
from jobs.emails import Email, EmailReceipt
from jobs.mail_tokens import MailTokens
from jobs.mailings import CHUNK
from jobs.status import Progress
from tests.mail_relay import ScriptedRelay, mail_relay

TEMPLATES: Final = Path(__file__).parents[1] / "templates" / "mail"
TOKENS: Final = MailTokens(b"a key that only the tests know......")


def composer() -> MailComposer:
    """Return a composer of the shipped templates."""
    return MailComposer(
        TEMPLATES,
        sender="Conveyor <jobs@example.com>",
        product="Conveyor",
        public_url="https://app.example.com",
    )


@dataclass(slots=True)
class MailBench:
    """Email steps, the relay they talk to, and the tables they write."""

    relay: ScriptedRelay
    steps: EmailActivities
    mailings: MailingActivities
    ledger: EmailLedger
    resets: PasswordResets
    database: Database
    storage: Storage
    beats: asyncio.Queue[Progress] = field(default_factory=asyncio.Queue)

    async def send(
        self,
        job: Email,
        *,
        job_id: str = "email-1",
        run_id: str = "run-1",
        attempt: int = 1,
        now: datetime | None = None,
    ) -> EmailReceipt:
        """Run one attempt of the email step."""
        environment = self.attempt(job_id, run_id, attempt, now)
        receipt: EmailReceipt = await environment.run(self.steps.send, job)
        return receipt

    def attempt(
        self, job_id: str, run_id: str = "run-1", attempt: int = 1, now: datetime | None = None
    ) -> ActivityEnvironment:
        """Return what an attempt of a step runs in."""
        environment = ActivityEnvironment()
        now = now or datetime.now(UTC)
        environment.info = replace(
            environment.info,
            workflow_id=job_id,
            workflow_run_id=run_id,
            attempt=attempt,
            started_time=now,
            scheduled_time=now,
        )
        environment.on_heartbeat = lambda progress, _: self.beats.put_nowait(progress)
        return environment


@asynccontextmanager
async def mail_bench(folder: Path, *, chunk: int = CHUNK) -> AsyncIterator[MailBench]:
    """Open everything that the email step needs, with the demo's users."""
    url = f"sqlite:///{folder / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    await load_demo(database)
    storage = Storage.open("memory:")
    async with mail_relay() as relay:
        mailer = SmtpMailer(
            Relay.parse(f"smtp://127.0.0.1:{relay.port}?tls=none"),
            envelope_sender="bounces@example.com",
        )
        ledger, resets = EmailLedger(database), PasswordResets(database)
        steps = EmailActivities(
            mailer=mailer,
            composer=composer(),
            ledger=ledger,
            resets=resets,
            users=Users(database),
            files=storage,
            tokens=TOKENS,
            public_url="https://app.example.com",
            last_words_s=0.5,
        )
        mailings = MailingActivities(
            mailer=mailer,
            composer=composer(),
            ledger=MailingLedger(database),
            directory=Recipients(database),
            files=storage,
            tokens=TOKENS,
            chunk=chunk,
            last_words_s=0.5,
        )
        yield MailBench(relay, steps, mailings, ledger, resets, database, storage)
        await mailer.close()
    await database.close()

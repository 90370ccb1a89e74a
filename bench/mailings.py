"""What the ledger of a mailing costs: its chunks beside a loop that only builds and sends.

Of the 0.15 ms of CPU that a mail of a mailing costs more, 0.03 ms go into reading and checking the
list and writing the outcomes. The rest is the ledger: a claim that is on disk before the mail goes
out, and what came of it, five of each in a commit, as many as go out side by side. All five wait
for the disk meanwhile. Fewer commits would leave more mails whose fate is unknown after a crash.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from temporalio.testing import ActivityEnvironment

from activities.mailings import MailingActivities
from adapters.database import Database, migrate
from adapters.database.mailings import MailingLedger, Recipients
from adapters.mail_rendering import MailComposer
from adapters.smtp import Relay, SmtpMailer
from adapters.storage import Storage
from bench.harness import ROOT, Plan, Row, lab, mail_relay
from jobs.emails import Letter
from jobs.mail_tokens import MailTokens
from jobs.mailings import Chunk, Mailing
from jobs.templates import OnUnknown

NAME = "mailings"
TITLE = "A mailing against a loop that only builds and sends"

MAILS: Final = 10_000
QUICK_MAILS: Final = 2_000
SENDERS: Final = 5
NEWS: Final[dict[str, Any]] = {"title": "News", "paragraphs": ["A paragraph of text. " * 10] * 3}
TOKENS: Final = MailTokens(b"a key of this bench only" * 2)


async def run(plan: Plan) -> Sequence[Row]:
    """Send so many lists both ways, in turn."""
    async with lab() as place:
        with mail_relay(place) as relay:
            return await compare(place.folder, relay, plan.rounds, plan.of(MAILS, QUICK_MAILS))


async def compare(folder: Path, relay: str, rounds: int, mails: int) -> Sequence[Row]:
    """Return the rows."""
    url = f"sqlite:///{folder / 'mailings.db'}"
    await migrate(url)
    database = Database.open(url)
    composer = MailComposer(
        ROOT / "templates" / "mail",
        sender="Conveyor <jobs@example.com>",
        product="Conveyor",
        public_url="https://app.example.com",
    )
    mailer = SmtpMailer(Relay.parse(relay), envelope_sender="jobs@example.com")
    steps = MailingActivities(
        mailer=mailer,
        composer=composer,
        ledger=MailingLedger(database),
        directory=Recipients(database),
        files=Storage.open("memory:"),
        tokens=TOKENS,
    )
    plain, chunks = [], []
    for number in range(rounds + 1):
        plain.append(await timed(in_a_loop(mailer, composer, mails)))
        chunks.append(await timed(as_a_mailing(steps, number, mails)))
    await mailer.close()
    await database.close()
    pairs = list(zip(plain, chunks, strict=True))[1:]  # the first round warms up
    rates = [mails / seconds for _, (seconds, _) in pairs]
    return [
        Row(
            name=f"mailing of {mails:,} : plain loop, mails a second",
            value=statistics.median(loop[0] / ours[0] for loop, ours in pairs),
            limit=0.8,
            at_least=True,
            detail=f"{statistics.median(rates):,.0f} mails/s",
            raw={"plain": plain, "mailing": chunks},
        ),
        Row(
            name="CPU a mail of a mailing",
            value=statistics.median(ours[1] / mails * 1000 for _, ours in pairs),
            unit="ms",
        ),
    ]


async def timed(work: Any) -> tuple[float, float]:
    """Return the seconds and CPU seconds that ``work`` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - wall, time.process_time() - cpu


async def in_a_loop(mailer: SmtpMailer, composer: MailComposer, mails: int) -> None:
    """Build and send, five side by side, and keep no account."""
    numbers = iter(range(mails))

    async def claim_nothing() -> None:
        pass

    async def send_in_turn() -> None:
        for number in numbers:
            to = f"user{number}@example.com"
            letter = Letter(
                to=to,
                template="newsletter",
                locale="en",
                variables={**NEWS, "name": "Ada", "action_url": None, "action_label": None},
                message_id=composer.message_id(f"{number:032x}"),
                timestamp=0.0,
                list_name="newsletter",
                unsubscribe_token=TOKENS.unsubscribe_token("newsletter", to),
            )
            await mailer.send(to, composer.build(letter), claim_nothing)

    await asyncio.gather(*(send_in_turn() for _ in range(SENDERS)))


async def as_a_mailing(steps: MailingActivities, number: int, mails: int) -> None:
    """Send through the steps of the job."""
    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info, workflow_id=f"mailing-{number}", workflow_run_id="run"
    )
    entries = [
        {"to": f"user{entry}@example.com", "data": {"name": "Ada"}} for entry in range(mails)
    ]
    source = "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
    await steps.files.put("list.jsonl", source)
    mailing = Mailing(template="newsletter", data=NEWS, recipients_source="list.jsonl")
    prepared = await environment.run(steps.prepare, mailing)
    for index, offset in enumerate(prepared.offsets):
        position = index * prepared.chunk
        chunk = Chunk(
            mailing=prepared.mailing,
            source=prepared.source,
            offset=offset,
            position=position,
            count=min(prepared.chunk, prepared.total - position),
            template="newsletter",
            data=NEWS,
            locale="en",
            list_name="newsletter",
            on_unknown=OnUnknown.HOLD,
        )
        await environment.run(steps.send_chunk, chunk)
    await environment.run(steps.finish, prepared)

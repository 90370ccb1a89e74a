"""What is submitted: jobs of every kind, made from a seed alone, and what must come of each."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from bench.memory import small_picture
from jobs.batches import BATCH
from jobs.emails import EMAIL
from jobs.events import EVENT
from jobs.exports import EXPORT
from jobs.images import IMAGE
from jobs.imports import IMPORT
from jobs.mailings import MAILING
from jobs.reminders import REMINDER
from jobs.reports import REPORT
from jobs.webhooks import WEBHOOK
from tests.proof.peers import MISBEHAVIOURS, Fate

MISBEHAVED: Final = 0.25
"""Share of mails to which the relay misbehaves in some way."""
FAILING: Final = 0.06
"""Share of jobs that are meant to fail."""
ROWS: Final = 200
"""Of each import."""
RECIPIENTS: Final = 15
"""Of each mailing, and of each batch, whose items are mails."""
IN_MAILINGS: Final = tuple(fate for fate in MISBEHAVIOURS if fate is not Fate.LATER)
"""Of those who are told to come later a mailing makes a second pass, five minutes later."""
PICTURE: Final = "proof/picture.jpg"
BROKEN_PICTURE: Final = "proof/broken.jpg"
SOURCE: Final = "github"
SHARES: Final = {
    EMAIL.name: 6,
    BATCH.name: 1,
    REMINDER.name: 2,
    MAILING.name: 1,
    IMAGE.name: 2,
    EVENT.name: 2,
    WEBHOOK.name: 3,
    REPORT.name: 1,
    IMPORT.name: 2,
    EXPORT.name: 1,
}
"""How many of a score of jobs are of each kind; each event makes a ``delivery`` per receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One job, and what must come of it."""

    kind: str
    key: str
    data: Mapping[str, Any]
    fails: str = ""
    """Type of the error that it is meant to fail with."""
    recipients: Sequence[str] = ()
    """Who must get a mail."""
    rows: Sequence[str] = ()
    """Keys of the rows that must be written."""

    @property
    def id(self) -> str:
        """The job's id."""
        name = f"{SOURCE}:{self.key}" if self.kind == WEBHOOK.name else self.key
        return f"{self.kind}-{name}"


@dataclass(slots=True)
class Load:
    """Everything that is submitted, in order."""

    chance: Random
    jobs: list[Planned] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def recipient(
        self, key: str, fate: Fate | None = None, among: Sequence[Fate] = MISBEHAVIOURS
    ) -> str:
        """Return an address of its own, and settle what the relay does to it."""
        address = f"{key}@example.com"
        if fate is None and self.chance.random() < MISBEHAVED:
            fate = self.chance.choice(among)
        self.fates[address] = fate or Fate.TAKEN
        return address


def make_load(seed: int, count: int) -> Load:
    """Return so many jobs; the same seed and count give the same, with one poison job early."""
    load = Load(Random(f"load {seed}"))  # noqa: S311 (repeatable)
    load.files = {PICTURE: small_picture(), BROKEN_PICTURE: b"no picture"}
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    dealt: list[str] = []
    for number in range(count):
        dealt = dealt or load.chance.sample(kinds, len(kinds))
        kind = dealt.pop()
        key = f"p{seed}-{number}"
        failing = load.chance.random() < FAILING
        load.jobs.append(MAKERS[kind](load, key, failing))
    to = load.recipient(f"p{seed}-poison", Fate.POISON)
    load.jobs[min(2, count - 1)] = Planned(
        kind=EMAIL.name,
        key=f"p{seed}-poison",
        data={"template": "welcome", "to": to, "data": {"name": "Ada"}},
        fails="PoisonJob",
        recipients=[to],
    )
    return load


def _email(load: Load, key: str, failing: bool) -> Planned:
    to = load.recipient(key, Fate.REFUSED if failing else None)
    data: dict[str, Any] = {"template": "welcome", "to": to, "data": {"name": "Ada"}}
    if load.chance.random() < 0.2:
        data |= {"template": "password-reset", "request_id": key}
    fails = "EmailRecipientRejected" if failing else ""
    return Planned(kind=EMAIL.name, key=key, data=data, fails=fails, recipients=[to])


def _reminder(load: Load, key: str, failing: bool) -> Planned:
    to = load.recipient(key, Fate.REFUSED if failing else None)
    data = {"message": "Now.", "to": to, "send_at": "2026-01-01T00:00:00Z"}
    fails = "EmailRecipientRejected" if failing else ""
    return Planned(kind=REMINDER.name, key=key, data=data, fails=fails, recipients=[to])


def _mailing(load: Load, key: str, failing: bool) -> Planned:
    addresses = [f"{key}-{number}" for number in range(RECIPIENTS)]
    recipients = [load.recipient(address, among=IN_MAILINGS) for address in addresses]
    data: dict[str, Any] = {
        "template": "newsletter",
        "data": {"title": "News", "paragraphs": ["One"]},
        "recipients": [*recipients],
    }
    if failing:
        recipients = []
        del data["recipients"]
        data["recipients_source"] = "proof/missing.jsonl"
    fails = "RecipientsMissing" if failing else ""
    return Planned(kind=MAILING.name, key=key, data=data, fails=fails, recipients=recipients)


def _batch(load: Load, key: str, failing: bool) -> Planned:
    recipients = [load.recipient(f"{key}-{number}") for number in range(RECIPIENTS)]
    mail = {"template": "welcome", "data": {"name": "Ada"}}
    data: dict[str, Any] = {"kind": EMAIL.name, "items": [{**mail, "to": to} for to in recipients]}
    if failing:
        recipients = []
        data = {"kind": EMAIL.name, "items_source": "proof/missing.jsonl"}
    fails = "ItemsMissing" if failing else ""
    return Planned(kind=BATCH.name, key=key, data=data, fails=fails, recipients=recipients)


def _image(_: Load, key: str, failing: bool) -> Planned:
    data = {
        "source": BROKEN_PICTURE if failing else PICTURE,
        "operations": [
            {"type": "resize", "width": 240},
            {"type": "watermark", "text": "© Ada"},
            {"type": "compress", "quality": 80},
        ],
    }
    return Planned(kind=IMAGE.name, key=key, data=data, fails="NotAnImage" if failing else "")


def _event(_: Load, key: str, _failing: bool) -> Planned:
    return Planned(kind=EVENT.name, key=key, data={"event_type": "proof", "payload": {"key": key}})


def _webhook(_: Load, key: str, failing: bool) -> Planned:
    push = {
        "ref": f"refs/heads/{key}",
        "before": "a" * 40,
        "after": "b" * 40,
        "commits": [],
        "repository": {"full_name": "acme/shop", "pushed_at": 1_790_000_000},
    }
    body = {"ref": key} if failing else push
    return Planned(kind=WEBHOOK.name, key=key, data=body, fails="rejected" if failing else "")


def _report(load: Load, key: str, failing: bool) -> Planned:
    to = load.recipient(key, Fate.REFUSED if failing else None)
    data = {
        "type": "sales",
        "start": "2025-01-01",
        "end": "2025-01-07",
        "formats": ["csv", "json"],
        "deliver_to": [to],
    }
    fails = "ReportNotDelivered" if failing else ""
    return Planned(kind=REPORT.name, key=key, data=data, fails=fails, recipients=[to])


def _import(load: Load, key: str, failing: bool) -> Planned:
    ids = [f"{key}-{number}" for number in range(ROWS)]
    lines = [f"{row},{row}@example.com,Ada,DE,2026-11-01T09:00:00Z" for row in ids]
    if failing:
        lines[0] = f"{ids[0]},no address,Ada,DE,2026-11-01T09:00:00Z"
    source = f"proof/{key}.csv"
    load.files[source] = "\n".join(["id,email,name,country,created_at", *lines, ""]).encode()
    return Planned(
        kind=IMPORT.name,
        key=key,
        data={"source": source, "target": "customers", "on_error": "stop"},
        fails="ImportRowRejected" if failing else "",
        rows=[] if failing else ids,
    )


def _export(_: Load, key: str, _failing: bool) -> Planned:
    return Planned(kind=EXPORT.name, key=key, data={"query": "orders", "format": "csv"})


Maker = Callable[[Load, str, bool], Planned]

MAKERS: Final[Mapping[str, Maker]] = {
    EMAIL.name: _email,
    REMINDER.name: _reminder,
    MAILING.name: _mailing,
    IMAGE.name: _image,
    EVENT.name: _event,
    WEBHOOK.name: _webhook,
    BATCH.name: _batch,
    REPORT.name: _report,
    IMPORT.name: _import,
    EXPORT.name: _export,
}


def body_of(job: Planned) -> bytes:
    """Return a webhook's body as it is sent."""
    return json.dumps(job.data).encode()

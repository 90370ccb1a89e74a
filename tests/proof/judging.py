"""What became of each job, judged by what arrived at the receivers.

The product's own records are asked only what it says of a job (done, failed, unknown); whether an
effect happened, and how often, is counted at the relay, the receivers, the table and the bucket.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select, text

from adapters.database.webhooks.deliveries import DeliveryBook
from adapters.database.webhooks.events import delivery_id
from adapters.database.webhooks.tables import pushes
from jobs.batches import BATCH
from jobs.deliveries import DELIVERY
from jobs.emails import EMAIL
from jobs.errors import JobNotFoundError, WaitTimedOutError
from jobs.events import EVENT
from jobs.exports import EXPORT
from jobs.files import ObjectNotFound, folder_of
from jobs.images import IMAGE
from jobs.imports import IMPORT
from jobs.mailings import MAILING
from jobs.reminders import REMINDER
from jobs.reports import REPORT
from jobs.status import JobState, JobStatus
from jobs.webhooks import WEBHOOK
from tests.proof.histories import Repetitions, repetitions
from tests.proof.load import Planned
from tests.proof.place import Place

LOOK: Final = timedelta(minutes=2)
"""Within which a job that has ended says how."""
WAITED_FOR_AT_ONCE: Final = 10
RESENT: Final = "password-reset"
"""Template whose mails go out again when their fate is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one job and of its effects."""

    kind: str
    id: str
    planned: bool = False
    """It failed, as it was meant to."""
    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    """Effects of which the product says itself that it doesn't know, or that it repeated them."""
    repeated: Repetitions = field(default_factory=Repetitions)
    note: str = ""

    @property
    def once(self) -> bool:
        """Whether it is done, each effect once."""
        return not (self.planned or self.lost or self.doubled or self.unknown)


@dataclass(slots=True)
class Effects:
    """What the receivers count."""

    mails: Counter[str]
    rows: Counter[str]
    pushes: Counter[str]
    orders: int

    @classmethod
    async def count(cls, place: Place) -> "Effects":
        """Ask the relay and the tables."""
        async with place.database.snapshot() as connection:
            rows = (await connection.execute(text("SELECT id FROM proof_writes"))).scalars()
            pushed = (await connection.execute(select(pushes.c.event_id))).scalars()
            orders = (await connection.execute(text("SELECT count(*) FROM orders"))).scalar_one()
            return cls(
                mails=Counter(received.recipient for received in place.relay.received),
                rows=Counter(rows),
                pushes=Counter(pushed),
                orders=int(orders),
            )


@dataclass(slots=True)
class Judge:
    """Judges the jobs of one place."""

    place: Place
    effects: Effects
    deliveries: DeliveryBook

    @classmethod
    async def open(cls, place: Place, jobs: Sequence[Planned]) -> "Judge":
        """Count the effects, when each of the jobs has ended, or is lost."""
        waiting = iter(jobs)

        async def lane() -> None:
            for job in waiting:
                for job_id in (job.id, *children(place, job)):
                    with suppress(JobNotFoundError, WaitTimedOutError):
                        await place.jobs.wait(job_id, within=LOOK)

        await asyncio.gather(*(lane() for _ in range(WAITED_FOR_AT_ONCE)))
        return cls(place, await Effects.count(place), DeliveryBook(place.database))

    async def judge(self, job: Planned) -> list[Verdict]:
        """Say what became of a job, and of the deliveries of an event."""
        status = await self._status(job.id)
        if status is None:
            return [Verdict(kind=job.kind, id=job.id, lost=1, note="not ended, or not found")]
        repeated = await repetitions(self.place.temporal, job.id)
        verdict = await self._of_job(job, status, repeated)
        verdicts = [replace(verdict, repeated=repeated)]
        if job.kind == EVENT.name:
            verdicts += [
                await self._of_delivery(job.id, endpoint_id, receiver.accepted[job.id])
                for endpoint_id, receiver, _ in self.place.receivers
            ]
        return verdicts

    async def _status(self, job_id: str) -> JobStatus | None:
        try:
            return await self.place.jobs.wait(job_id, within=LOOK)
        except (JobNotFoundError, WaitTimedOutError):
            return None

    async def _of_job(self, job: Planned, status: JobStatus, repeated: Repetitions) -> Verdict:
        verdict = Verdict(kind=job.kind, id=job.id)
        if status.state is not JobState.COMPLETED:
            return self._of_failure(job, status, verdict)
        result = status.result or {}
        if job.kind == WEBHOOK.name:
            return self._of_webhook(job, result, verdict)
        if job.fails:
            return replace(verdict, lost=1, note=f"did not fail with {job.fails}")
        match job.kind:
            case EMAIL.name | REMINDER.name:
                again = repeated.lost_workers + repeated.redone + repeated.eaten
                return self._of_mail(job.recipients[0], result["delivery"], job, again, verdict)
            case MAILING.name:
                return await self._of_mailing(job, result["outcomes"], verdict)
            case BATCH.name:
                return await self._of_batch(job, result["outcomes"]["key"], verdict)
            case IMAGE.name | REPORT.name:
                verdict = await self._of_files(job, result["files"], verdict)
                return await self._of_report_mail(job, verdict) if job.recipients else verdict
            case EXPORT.name:
                return await self._of_export(job, result, verdict)
            case IMPORT.name:
                return _of_counts(verdict, [self.effects.rows[row] for row in job.rows])
        return verdict

    def _of_failure(self, job: Planned, status: JobStatus, verdict: Verdict) -> Verdict:
        error = status.error.type if status.error else ""
        arrived = sum(self.effects.mails[to] for to in job.recipients) if job.recipients else 0
        if job.fails and error == job.fails and not arrived:
            return replace(verdict, planned=True)
        told = status.error.message if status.error else ""
        return replace(verdict, lost=1, note=f"{status.state}: {error}: {told}")

    def _of_mail(
        self, to: str, delivery: str, job: Planned, again: int, verdict: Verdict
    ) -> Verdict:
        copies = self.effects.mails[to]
        if delivery == "unknown":
            return replace(verdict, unknown=1, doubled=max(0, copies - 1), note="unknown")
        if delivery != "sent":
            return replace(verdict, lost=1, note=f"delivery: {delivery}")
        resent = job.data.get("template") == RESENT and again > 0
        if copies > 1 and resent:
            return replace(verdict, unknown=copies - 1, note="sent again by the template's policy")
        return _of_counts(verdict, [copies])

    async def _of_mailing(self, job: Planned, key: str, verdict: Verdict) -> Verdict:
        stored = await self.place.storage.get(key)
        outcomes = {line["to"]: line["outcome"] for line in map(json.loads, stored.splitlines())}
        return self._of_mails(job.recipients, outcomes, verdict)

    async def _of_batch(self, job: Planned, key: str, verdict: Verdict) -> Verdict:
        stored = await self.place.storage.get(key)
        outcomes = {}
        for line in map(json.loads, stored.splitlines()):
            told = line.get("result", {}).get("delivery") or line.get("error_type", line["state"])
            outcomes[job.recipients[line["index"]]] = told
        return self._of_mails(job.recipients, outcomes, verdict)

    def _of_mails(
        self, recipients: Sequence[str], outcomes: Mapping[str, str], verdict: Verdict
    ) -> Verdict:
        for to in recipients:
            copies, outcome = self.effects.mails[to], outcomes.get(to)
            if outcome == "unknown":
                verdict = replace(
                    verdict,
                    unknown=verdict.unknown + 1,
                    doubled=verdict.doubled + max(0, copies - 1),
                )
            elif outcome == "sent":
                verdict = _of_counts(verdict, [copies])
            else:
                verdict = replace(verdict, lost=verdict.lost + 1, note=f"{outcome}")
        return verdict

    async def _of_files(
        self, job: Planned, files: Sequence[dict[str, Any]], verdict: Verdict
    ) -> Verdict:
        """Judge files by their content in the bucket; another one of the job's is a second one."""
        top = "reports" if job.kind == REPORT.name else "jobs"
        present = {
            found.key async for found in self.place.storage.list(f"{top}/{folder_of(job.id)}")
        }
        for file in files:
            try:
                data = await self.place.storage.get(file["key"])
            except ObjectNotFound:
                return replace(verdict, lost=1, note=f"no file {file['key']}")
            if hashlib.sha256(data).hexdigest() != file["sha256"]:
                return replace(verdict, lost=1, note=f"another content in {file['key']}")
        more = present - {file["key"] for file in files}
        if more:
            return replace(verdict, doubled=len(more), note=f"also stored: {sorted(more)}")
        return verdict

    async def _of_export(self, job: Planned, result: dict[str, Any], verdict: Verdict) -> Verdict:
        verdict = await self._of_files(job, [result["file"]], verdict)
        if verdict.lost:
            return verdict
        lines = (await self.place.storage.get(result["file"]["key"])).splitlines()
        ids = Counter(line.partition(b",")[0] for line in lines[1:])
        twice = sum(ids.values()) - len(ids)
        return replace(
            verdict,
            lost=verdict.lost + self.effects.orders - len(ids),
            doubled=verdict.doubled + twice,
        )

    async def _of_report_mail(self, job: Planned, verdict: Verdict) -> Verdict:
        (mail_id,) = children(self.place, job)
        mail = await self._status(mail_id)
        if mail is None or mail.result is None:
            return replace(verdict, lost=1, note="its mail is not done")
        return self._of_mail(job.recipients[0], mail.result["delivery"], job, 0, verdict)

    def _of_webhook(self, job: Planned, result: dict[str, Any], verdict: Verdict) -> Verdict:
        recorded = self.effects.pushes[job.key]
        if job.fails:
            if result["outcome"] == job.fails and not recorded:
                return replace(verdict, planned=True)
            return replace(verdict, lost=1, note=f"outcome {result['outcome']}")
        return _of_counts(verdict, [recorded])

    async def _of_delivery(self, event_id: str, endpoint_id: str, accepted: int) -> Verdict:
        """Judge one delivery, which is made at least once: a repetition must be a named one.

        It is named where the delivery's log has an attempt without answer, or its history a step
        that lost its worker or failed in the middle.
        """
        job_id = delivery_id(event_id, endpoint_id)
        status = await self._status(job_id)
        verdict = Verdict(kind=DELIVERY.name, id=job_id)
        if status is None or status.state is not JobState.COMPLETED or not accepted:
            told = status.error.message if status and status.error else "not made"
            return replace(verdict, lost=1, note=told)
        repeated = await repetitions(self.place.temporal, job_id)
        made = await self.deliveries.attempts_of(job_id)
        unanswered = sum(not (entry.answer and entry.answer.status) for entry in made)
        named = min(accepted - 1, unanswered + repeated.redone + repeated.failed)
        return replace(
            verdict,
            unknown=named,
            doubled=accepted - 1 - named,
            repeated=repeated,
            note=f"accepted {accepted} times, {unanswered} attempts without answer, {repeated}",
        )


def children(place: Place, job: Planned) -> Sequence[str]:
    """Return the ids of the jobs that a job starts and that are judged with it."""
    if job.kind == REPORT.name and job.recipients:
        return [f"{EMAIL.name}-{job.id}-1"]
    if job.kind == EVENT.name:
        return [delivery_id(job.id, endpoint_id) for endpoint_id, _, _ in place.receivers]
    return ()


def _of_counts(verdict: Verdict, counts: Sequence[int]) -> Verdict:
    """Add effects that must have happened once each."""
    return replace(
        verdict,
        lost=verdict.lost + sum(not number for number in counts),
        doubled=verdict.doubled + sum(max(0, number - 1) for number in counts),
    )

"""Steps of the batch job: mails as items, overlong lines, and what stops a chunk."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.batches import BatchActivities
from activities.batches.lists import MAX_LINE_BYTES
from activities.errands import Errand
from adapters.database.batches import BatchLedger
from jobs.batches import BatchJob, Chunk, ChunkResult, ItemState, Plan, Preparation
from jobs.emails import Email, EmailRelayMisconfigured
from jobs.status import JobStatus
from tests.mails import MailBench, mail_bench

WELCOME = Email(template="welcome", to="ada@example.com", data={"name": "Ada"})


class NoJobs:
    """Other jobs, of which these tests need none."""

    def of(self, owner: str | None) -> "NoJobs":
        raise AssertionError(owner)

    async def may_read(self, key: str) -> bool:
        raise AssertionError(key)

    async def wait(self, job_id: str) -> JobStatus:
        raise AssertionError(job_id)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[MailBench]:
    async with mail_bench(tmp_path) as opened:
        yield opened


def steps(bench: MailBench) -> BatchActivities:
    return BatchActivities(
        ledger=BatchLedger(bench.database),
        files=bench.storage,
        jobs=NoJobs(),
        performers={"email": bench.steps.perform},
    )


def environment() -> ActivityEnvironment:
    made = ActivityEnvironment()
    made.info = replace(made.info, workflow_id="batch-x", workflow_run_id="run-1")
    return made


async def planned(bench: MailBench, *lines: bytes) -> Plan:
    await bench.storage.put("list.jsonl", b"\n".join(lines))
    batch = BatchJob(kind="email", items_source="list.jsonl")
    plan: Plan = await environment().run(steps(bench).prepare, Preparation(batch=batch))
    return plan


async def perform(bench: MailBench, plan: Plan, **changes: Any) -> ChunkResult:
    chunk = Chunk(
        batch=plan.batch,
        kind=plan.kind,
        source=plan.source,
        stem=plan.stem,
        offset=plan.offsets[0],
        length=plan.size,
        position=0,
        count=plan.total,
        at_once=5,
    )
    result: ChunkResult = await environment().run(
        steps(bench).perform, chunk.model_copy(update=changes)
    )
    return result


def mail(name: str) -> bytes:
    job = WELCOME.model_copy(update={"to": f"{name}@example.com"})
    return job.model_dump_json(exclude_none=True).encode()


async def test_a_mail_that_an_item_sent_is_not_sent_again_by_a_job_of_the_same_id(
    bench: MailBench,
) -> None:
    now = datetime.now(UTC)
    errand = Errand(job_id="email-x-3", run_id="run-1", attempt=1, scheduled_at=now, now=now)
    item = await bench.steps.perform(WELCOME, errand)
    job = await bench.send(WELCOME, job_id="email-x-3", run_id="run-2")
    assert job == item
    assert len(bench.relay.received) == 1


async def test_a_chunk_that_is_done_again_sends_only_what_is_not_in_the_ledger(
    bench: MailBench,
) -> None:
    plan = await planned(bench, *(mail(f"u{number}") for number in range(12)))
    first = await perform(bench, plan, count=7)
    again = await perform(bench, plan)
    assert (first.completed, again.completed) == (7, 12)
    assert len({received.recipient for received in bench.relay.received}) == 12
    assert len(bench.relay.received) == 12


async def test_a_refused_mail_is_left_to_a_job_and_hides_no_other(bench: MailBench) -> None:
    bench.relay.refuse["gone@example.com"] = "550 5.1.1 no such user"
    plan = await planned(bench, mail("ada"), mail("gone"), mail("emmy"))
    result = await perform(bench, plan)
    (row,) = await BatchLedger(bench.database).items(plan.batch, states=[ItemState.WAITING])
    assert (result.completed, result.left) == (2, 1)
    assert (row.job_id, row.error_type) == ("email-x-1", "EmailRecipientRejected")


async def test_what_holds_every_mail_ends_the_chunk_and_gives_up_no_item(
    bench: MailBench,
) -> None:
    async def misconfigured(job: Any, errand: Errand) -> Email:
        raise EmailRelayMisconfigured("the relay refuses the login")

    plan = await planned(bench, *(mail(f"u{number}") for number in range(12)))
    broken = replace(steps(bench), performers={"email": misconfigured})
    chunk = Chunk(
        batch=plan.batch, kind="email", source=plan.source, stem=plan.stem, offset=0,
        length=plan.size, position=0, count=12, at_once=5,
    )  # fmt: skip
    with pytest.raises(EmailRelayMisconfigured):
        await environment().run(broken.perform, chunk)
    assert not await BatchLedger(bench.database).items(plan.batch)


async def test_a_line_longer_than_any_input_is_a_failed_item_and_read_past(
    bench: MailBench,
) -> None:
    plan = await planned(bench, mail("ada"), b"x" * (MAX_LINE_BYTES + 1), mail("emmy"))
    result = await perform(bench, plan)
    (row,) = await BatchLedger(bench.database).items(plan.batch, states=[ItemState.FAILED])
    assert (plan.total, plan.failed, result.completed) == (3, 1, 2)
    assert "put large data into storage" in row.error_message


async def test_a_chunk_that_kills_its_workers_leaves_its_items_to_jobs_untried(
    bench: MailBench,
) -> None:
    plan = await planned(bench, mail("ada"), mail("emmy"), mail("grace"))
    await perform(bench, plan, count=1)
    result = await perform(bench, plan, hand_over=True)
    assert (result.completed, result.left) == (1, 2)
    assert len(bench.relay.received) == 1

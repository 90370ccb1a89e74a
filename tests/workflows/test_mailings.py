"""A mailing from list to outcomes, over a real server, relay and ledger."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.worker import Worker

from jobs.emails import SuppressionReason
from jobs.mailings import MAILING, Mailing, MailingJob, MailingResult
from tests.conftest import HEARTBEAT_INTERVAL
from tests.mails import MailBench, mail_bench
from tests.workflows.short_mailings import ShortRunsWorkflow
from workflows.mailings import SendMailingWorkflow
from workflows.sandbox import RUNNER

NEWS: dict[str, Any] = {"title": "News", "paragraphs": ["One"]}
Handle = WorkflowHandle[SendMailingWorkflow, MailingResult]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[MailBench]:
    async with mail_bench(tmp_path, chunk=10) as opened:
        yield opened


@asynccontextmanager
async def worker(
    client: Client,
    name: str,
    bench: MailBench,
    workflow: type[SendMailingWorkflow] = SendMailingWorkflow,
) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=name,
        workflows=[workflow],
        activities=bench.mailings.all(),
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
    ):
        yield


async def start(client: Client, mailing: Mailing, name: str) -> Handle:
    return await client.start_workflow(
        SendMailingWorkflow.run,
        MailingJob.model_validate(mailing.model_dump()),
        id=name,
        task_queue=name,
        execution_timeout=MAILING.deadline,
    )


async def outcomes(bench: MailBench, result: MailingResult) -> list[dict[str, Any]]:
    lines = (await bench.storage.get(result.outcomes)).splitlines()
    return [json.loads(line) for line in lines]


def stored_list(*entries: object) -> bytes:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()


async def test_everyone_on_a_stored_list_gets_one_mail(
    temporal: Client, unique: str, bench: MailBench
) -> None:
    entries = [{"to": f"u{n}@example.com", "data": {"name": f"U{n}"}} for n in range(35)]
    await bench.storage.put("lists/all.jsonl", stored_list(*entries))
    mailing = Mailing(template="newsletter", data=NEWS, recipients_source="lists/all.jsonl")
    async with worker(temporal, unique, bench):
        result = await (await start(temporal, mailing, unique)).result()

    addresses = [received.recipient for received in bench.relay.received]
    assert (result.total, result.sent) == (35, 35)
    assert sorted(addresses) == sorted({str(entry["to"]) for entry in entries})
    assert [line["outcome"] for line in await outcomes(bench, result)] == ["sent"] * 35


async def test_each_kind_of_entry_has_its_outcome(
    temporal: Client, unique: str, bench: MailBench
) -> None:
    await bench.ledger.suppress(
        bench.mailings.tokens.address_hash("grace@example.com"), SuppressionReason.HARD_BOUNCE
    )
    bench.relay.refuse["gone@example.com"] = "550 5.1.1 no such user"
    content = stored_list(
        "ada", {"user_id": "grace"}, "nobody", "gone@example.com", "ADA@example.com", {"to": "x"}
    )
    await bench.storage.put("list.jsonl", content + b"not json\n")
    mailing = Mailing(template="newsletter", data=NEWS, recipients_source="list.jsonl")
    async with worker(temporal, unique, bench):
        result = await (await start(temporal, mailing, unique)).result()

    told = [line["outcome"] for line in await outcomes(bench, result)]
    assert told == ["sent", "suppressed", "invalid", "refused", "duplicate", "invalid", "invalid"]
    assert (result.sent, result.refused, result.invalid, result.duplicate) == (1, 1, 3, 1)


async def test_a_query_makes_the_list(temporal: Client, unique: str, bench: MailBench) -> None:
    mailing = Mailing.model_validate({"template": "newsletter", "data": NEWS, "query": "all-users"})
    async with worker(temporal, unique, bench):
        result = await (await start(temporal, mailing, unique)).result()

    greeted = {received.message["Subject"] for received in bench.relay.received}
    assert (result.total, result.sent) == (10, 10)
    assert greeted == {"News"}


async def test_deferred_recipients_are_tried_again_later(
    temporal: Client, unique: str, bench: MailBench
) -> None:
    bench.relay.rcpt = ["451 4.7.1 greylisted"] * 2
    mailing = Mailing.model_validate(
        {"template": "newsletter", "data": NEWS, "recipients": ["ada", "emmy", "hedy"]}
    )
    async with worker(temporal, unique, bench):
        result = await (await start(temporal, mailing, unique)).result()

    assert (result.sent, result.deferred) == (3, 0)
    assert len(bench.relay.received) == 3


async def test_who_is_deferred_to_the_end_is_told_so(
    temporal: Client, unique: str, bench: MailBench
) -> None:
    bench.relay.refuse["ada@example.com"] = "451 4.7.1 greylisted"
    mailing = Mailing.model_validate(
        {"template": "newsletter", "data": NEWS, "recipients": ["ada", "emmy"]}
    )
    async with worker(temporal, unique, bench):
        result = await (await start(temporal, mailing, unique)).result()

    assert (result.sent, result.deferred) == (1, 1)


async def test_a_cancelled_mailing_goes_on_and_names_those_whose_answer_it_left(
    client: Client, unique: str, bench: MailBench
) -> None:
    entries = [f"u{n}@example.com" for n in range(30)]
    mailing = Mailing.model_validate(
        {"template": "newsletter", "data": NEWS, "recipients": entries}
    )
    bench.relay.pause_after(12)
    async with worker(client, unique, bench):
        handle = await start(client, mailing, unique)
        await bench.relay.paused.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        before = len(bench.relay.received)
        bench.relay.go_on()
        result = await (await start(client, mailing, unique)).result()

    addresses = [received.recipient for received in bench.relay.received]
    assert 12 <= before < 30
    assert sorted(addresses) == sorted(entries)
    assert result.sent + result.unknown == 30
    assert 1 <= result.unknown <= 5


async def test_a_mailing_that_goes_on_in_new_runs_skips_and_doubles_nobody(
    temporal: Client, unique: str, bench: MailBench
) -> None:
    entries = [f"u{n}@example.com" for n in range(45)]
    bench.relay.rcpt = ["451 4.7.1 greylisted"]  # for one of the first chunk
    mailing = Mailing.model_validate(
        {"template": "newsletter", "data": NEWS, "recipients": entries}
    )
    async with worker(temporal, unique, bench, ShortRunsWorkflow):
        handle = await start(temporal, mailing, unique)
        result = await handle.result()
    first = await temporal.get_workflow_handle(
        unique, run_id=handle.first_execution_run_id
    ).describe()

    assert first.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    addresses = [received.recipient for received in bench.relay.received]
    assert sorted(addresses) == sorted(entries)
    assert (result.total, result.sent) == (45, 45)
    assert [line["to"] for line in await outcomes(bench, result)] == entries


async def test_a_thousand_recipients_make_a_short_history(
    client: Client, unique: str, tmp_path: Path
) -> None:
    entries = [f"u{n}@example.com" for n in range(1000)]
    mailing = Mailing(template="newsletter", data=NEWS, recipients_source="list.jsonl")
    async with mail_bench(tmp_path) as bench, worker(client, unique, bench):
        await bench.storage.put("list.jsonl", stored_list(*entries))
        handle = await start(client, mailing, unique)
        result = await handle.result()
    history = await handle.fetch_history()

    assert result.sent == 1000
    assert len(history.events) <= 5 * result.total / 100
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED


async def test_a_mailing_to_nobody_fails(temporal: Client, unique: str, bench: MailBench) -> None:
    await bench.storage.put("list.jsonl", b"")
    mailing = Mailing(template="newsletter", data=NEWS, recipients_source="list.jsonl")
    async with worker(temporal, unique, bench):
        handle = await start(temporal, mailing, unique)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()

    assert "the list of recipients is empty" in str(caught.value.cause.__cause__)

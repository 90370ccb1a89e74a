"""Forgetting jobs on a real server, with storage and a database of the test's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client
from temporalio.worker import Worker

from activities import pruning
from activities.pruning import PruneActivities
from adapters.database import Database, migrate
from adapters.database.ledgers import DATED, Ledgers
from adapters.database.transfers import Imports
from adapters.storage import Storage
from adapters.traces import Traces
from jobs.base import JobKind, Retention
from jobs.client import JobClient, Submission, reading
from jobs.client.pruning import Pruner, ensure_prune
from jobs.pruning import PRUNE_WORKFLOW, Forgotten, Pruned
from tests.jobs.conftest import StartWorker
from workflows.pruning import PruneWorkflow
from workflows.sandbox import RUNNER

NEVER = timedelta(days=3650)
AT_ONCE = timedelta(0)


@pytest.fixture
async def steps(client: Client, tmp_path: Path) -> AsyncIterator[PruneActivities]:
    """The steps, over storage in memory and a migrated SQLite file."""
    url = f"sqlite:///{tmp_path / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    storage = Storage.open("memory:")
    yield PruneActivities(Pruner(client), Traces(storage, database), storage, Ledgers(database))
    await database.close()


def keep(monkeypatch: pytest.MonkeyPatch, kind: JobKind[Any, Any], **terms: timedelta) -> None:
    """Let only jobs of ``kind`` be due, those whose outcome ``terms`` names."""
    retention = replace(Retention(completed=NEVER, failed=NEVER, results=NEVER), **terms)
    monkeypatch.setattr(pruning, "KINDS", {kind.name: replace(kind, retention=retention)})
    monkeypatch.setattr(pruning, "RESULT_TERMS", {kind.name: retention.results})


async def prune(client: Client, steps: PruneActivities, queue: str) -> Pruned:
    """Run the workflow once, by a worker of its own."""
    async with Worker(
        client,
        task_queue=queue,
        workflows=[PruneWorkflow],
        activities=steps.all(),
        workflow_runner=RUNNER,
    ):
        pruned: Pruned = await client.execute_workflow(
            PRUNE_WORKFLOW, id=f"prune-{queue}", task_queue=queue, result_type=Pruned
        )
    return pruned


async def closed(
    steps: PruneActivities, kind: JobKind[Any, Any], outcome: str, job_ids: set[str]
) -> None:
    """Return when the index knows that these jobs, and perhaps others, have ended so."""
    due = replace(kind, retention=Retention(completed=AT_ONCE, failed=AT_ONCE))
    async with asyncio.timeout(180):
        while True:
            now = datetime.now(UTC) + timedelta(minutes=1)
            found = {job_id async for job_id, _ in steps.closed.due(due, outcome, now)}
            if job_ids <= found:
                return
            await asyncio.sleep(0.1)


async def test_jobs_past_their_retention_go_with_their_files_and_the_others_stay(
    client: Client,
    jobs: JobClient,
    kind: JobKind[Any, Any],
    worker: StartWorker,
    steps: PruneActivities,
    monkeypatch: pytest.MonkeyPatch,
    unique: str,
) -> None:
    keep(monkeypatch, kind, completed=AT_ONCE)
    storage = cast("Storage", steps.files)
    async with worker():
        done = await jobs.submit("note", {"text": "x"})
        refused = await jobs.submit("note", {"text": "x", "behave": "refuse"})
        await asyncio.gather(jobs.wait(done.id), jobs.wait(refused.id))
    still_open = await jobs.submit("note", {"text": "x"})
    for job in (done, refused, still_open):
        await storage.put(f"work/{job.id}/half", b"12345")
    await storage.put(f"jobs/{done.id}/result", b"12345")
    await closed(steps, kind, "completed", {done.id})
    deleted: list[str] = []

    async def delete(_: Client, execution: WorkflowExecution) -> None:
        deleted.append(execution.run_id)  # the server takes half a minute

    monkeypatch.setattr(reading, "delete", delete)
    pruned = await prune(client, steps, f"{unique}-prune")

    assert pruned.jobs == (Forgotten(kind="note", outcome="completed", jobs=pruned.jobs[0].jobs),)
    assert done.run_id in deleted
    assert not {refused.run_id, still_open.run_id} & {*deleted}
    keys = {stored.key async for stored in storage.list("")}
    assert keys == {
        f"jobs/{done.id}/result", f"work/{refused.id}/half", f"work/{still_open.id}/half"
    }  # fmt: skip


async def test_an_old_run_goes_without_the_files_of_the_run_that_followed_it(
    jobs: JobClient,
    kind: JobKind[Any, Any],
    worker: StartWorker,
    steps: PruneActivities,
    monkeypatch: pytest.MonkeyPatch,
    unique: str,
) -> None:
    keep(monkeypatch, kind, failed=AT_ONCE)
    storage = cast("Storage", steps.files)
    async with worker():
        first = await jobs.submit("note", {"text": "x", "behave": "refuse"}, Submission(key=unique))
        await jobs.wait(first.id)
    again = await jobs.submit("note", {"text": "x", "behave": "refuse"}, Submission(key=unique))
    await storage.put(f"work/{again.id}/half", b"12345")

    erased = await steps.closed.forget(first.id, first.run_id, steps.traces)

    assert erased.files == 0
    assert [stored.key async for stored in storage.list("")] == [f"work/{again.id}/half"]
    assert (await jobs.status(again.id)).run_id == again.run_id


async def test_results_outlive_their_job_and_go_after_their_own_term(
    client: Client,
    kind: JobKind[Any, Any],
    steps: PruneActivities,
    monkeypatch: pytest.MonkeyPatch,
    unique: str,
) -> None:
    storage = cast("Storage", steps.files)
    await storage.put(f"jobs/note-{unique}/result", b"12345")
    await storage.put("jobs/mine-a/kept", b"not of a job")
    keep(monkeypatch, kind)
    before, _ = await steps.preview(datetime.now(UTC))
    keep(monkeypatch, kind, results=AT_ONCE)
    told, listed = await steps.preview(datetime.now(UTC) + timedelta(minutes=1))
    pruned = await prune(client, steps, unique)

    assert before.results == 0
    assert [(result.job_id, result.erased.files) for result in listed] == [(f"note-{unique}", 1)]
    assert told.result_traces == pruned.result_traces
    assert [stored.key async for stored in storage.list("")] == ["jobs/mine-a/kept"]


async def test_the_result_of_a_job_that_can_be_looked_at_stays_past_its_term(
    client: Client,
    jobs: JobClient,
    kind: JobKind[Any, Any],
    steps: PruneActivities,
    monkeypatch: pytest.MonkeyPatch,
    unique: str,
) -> None:
    job = await jobs.submit("note", {"text": "x"})
    await cast("Storage", steps.files).put(f"jobs/{job.id}/result", b"12345")
    keep(monkeypatch, kind, results=AT_ONCE)
    assert (await prune(client, steps, f"{unique}-prune")).results == 0


async def test_old_rows_go_a_few_at_a_time_and_the_young_stay(steps: PruneActivities) -> None:
    ledgers = cast("Ledgers", steps.ledgers)
    imports, now = Imports(ledgers.database), datetime.now(UTC)
    for number, age in enumerate((40, 40, 40, 1)):
        await imports.begin(
            job_id=f"import-{number}", run_id=str(number), fingerprint="f",
            at=now - timedelta(days=age),
        )  # fmt: skip
    before = now - timedelta(days=30)

    assert await ledgers.count(before) == 3
    assert [await ledgers.prune(before, 2) for _ in range(3)] == [2, 1, 0]
    assert await imports.position("import-3") is not None


def test_every_dated_ledger_has_a_key_and_a_moment_of_its_own() -> None:
    for table, moment in DATED:
        assert moment.table is table
        assert table.primary_key.columns


async def test_the_schedule_is_made_once(client: Client) -> None:
    assert [await ensure_prune(client), await ensure_prune(client)][1] is False
    schedule = client.get_schedule_handle("prune")
    async with asyncio.timeout(60):
        while not (await schedule.describe()).info.next_action_times:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    await schedule.delete()

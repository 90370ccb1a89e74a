"""Batches from list to outcomes, over a real server and ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from jobs.status import JobState
from tests.batching import BatchBench, batch_bench
from tests.workflows.short_batches import ShortRunsWorkflow

NAMES = [f"n{number}" for number in range(35)]


@pytest.fixture
async def bench(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BatchBench]:
    async with batch_bench(client, unique, tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
async def of_jobs(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BatchBench]:
    """A bench whose items all become jobs, as those of kinds with several steps."""
    async with batch_bench(client, unique, tmp_path, monkeypatch, in_chunks=False) as opened:
        yield opened


async def test_each_item_of_a_list_is_done_once(bench: BatchBench, unique: str) -> None:
    source = await bench.store(*NAMES)
    async with bench.worker():
        batch = await bench.submit(unique, items_source=source)
        job = await bench.jobs.wait(batch.id)

    assert job.result is not None
    assert (job.result["total"], job.result["completed"], job.result["failed"]) == (35, 35, 0)
    assert bench.parcels.sent == {f"parcel-{unique}-{index}": 1 for index in range(35)}
    lines = await bench.outcomes(job)
    assert [line["index"] for line in lines] == list(range(35))
    assert lines[7] == {"index": 7, "state": "completed", "result": {"to": "n7"}}


async def test_an_item_that_fails_hides_no_other_and_shows_as_a_job(
    bench: BatchBench, unique: str
) -> None:
    bench.parcels.refuse = {"n3"}
    bench.parcels.delay = {"n5"}
    async with bench.worker():
        batch = await bench.submit(unique, items=[{"name": name} for name in NAMES])
        job = await bench.jobs.wait(batch.id)
        failed = await bench.jobs.status(f"parcel-{unique}-3")

    lines = await bench.outcomes(job)
    assert job.result is not None
    assert (job.result["completed"], job.result["failed"]) == (34, 1)
    assert lines[3] == {
        "index": 3,
        "state": "failed",
        "job_id": f"parcel-{unique}-3",
        "error_type": "ParcelRefused",
        "error_message": "nobody takes it: send another",
    }
    assert (lines[5]["state"], lines[5]["job_id"]) == ("completed", f"parcel-{unique}-5")
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert (failed.error.type, failed.tags, failed.priority) == (
        "ParcelRefused",
        {"season": "winter"},
        2,
    )


async def test_items_of_other_kinds_become_jobs(of_jobs: BatchBench, unique: str) -> None:
    of_jobs.parcels.refuse = {"n1"}
    async with of_jobs.worker():
        batch = await of_jobs.submit(
            unique, owner="ada", items=[{"name": name} for name in NAMES[:12]], window=3
        )
        job = await of_jobs.jobs.wait(batch.id)
        child = await of_jobs.jobs.of("ada").status(f"parcel-{unique}-11")

    lines = await of_jobs.outcomes(job)
    assert [line["state"] for line in lines] == ["completed", "failed", *["completed"] * 10]
    assert [line["job_id"] for line in lines] == [f"parcel-{unique}-{n}" for n in range(12)]
    assert (child.state, child.result) == (JobState.COMPLETED, {"to": "n11", "stops": ["a", "b"]})


async def test_lines_that_are_no_input_are_failed_items(bench: BatchBench, unique: str) -> None:
    lines = [b'{"name": "a"}', b"no json", b"", b'{"nam": "a"}', b"[1]", b'{"name": "b"}']
    await bench.storage.put("list.jsonl", b"\n".join(lines))
    async with bench.worker():
        batch = await bench.submit(unique, items_source="list.jsonl")
        job = await bench.jobs.wait(batch.id)

    told = await bench.outcomes(job)
    assert [line["state"] for line in told] == ["completed", *["failed"] * 4, "completed"]
    assert told[1]["error_message"] == "the line is no JSON"
    assert told[2]["error_message"] == "the line is empty"
    assert "nam: no such field; did you mean 'name'?" in told[3]["error_message"]
    assert {line["error_type"] for line in told[1:5]} == {"ItemInvalid"}


async def test_a_batch_waits_while_what_all_items_need_is_away(
    bench: BatchBench, unique: str
) -> None:
    bench.parcels.away = True
    async with bench.worker():
        batch = await bench.submit(unique, items=[{"name": name} for name in NAMES[:30]])
        async for seen in bench.jobs.watch(batch.id):
            if seen.error is not None:
                assert seen.error.type == "BatchStalled"
                bench.parcels.away = False
        job = await bench.jobs.wait(batch.id)

    assert [line["state"] for line in await bench.outcomes(job)] == ["completed"] * 30
    assert not any("job_id" in line for line in await bench.outcomes(job))


async def test_cancelling_stops_what_has_begun(of_jobs: BatchBench, unique: str) -> None:
    of_jobs.parcels.hold = {"n1"}
    async with of_jobs.worker():
        batch = await of_jobs.submit(unique, items=[{"name": name} for name in NAMES[:4]], window=1)
        await of_jobs.parcels.held.wait()
        await of_jobs.jobs.cancel(batch.id)
        job = await of_jobs.jobs.wait(batch.id)
        child = await of_jobs.jobs.wait(f"parcel-{unique}-1")

    states = [item.state for item in await of_jobs.ledger.items(f"batch-{unique}#1")]
    assert (job.state, child.state) == (JobState.CANCELLED, JobState.CANCELLED)
    assert states == ["completed", *["cancelled"] * 3]
    assert sum(of_jobs.parcels.sent.values()) == 1


async def test_cancelling_can_let_what_has_begun_finish(of_jobs: BatchBench, unique: str) -> None:
    of_jobs.parcels.hold = {"n1"}
    async with of_jobs.worker():
        items = [{"name": name} for name in NAMES[:4]]
        batch = await of_jobs.submit(unique, items=items, window=1, on_cancel="finish")
        await of_jobs.parcels.held.wait()
        await of_jobs.jobs.cancel(batch.id)
        of_jobs.parcels.go_on.set()
        job = await of_jobs.jobs.wait(batch.id)
        child = await of_jobs.jobs.status(f"parcel-{unique}-1")

    assert (job.state, child.state) == (JobState.CANCELLED, JobState.COMPLETED)
    assert sum(of_jobs.parcels.sent.values()) == 2


async def test_a_cancelled_batch_goes_on_where_it_was(bench: BatchBench, unique: str) -> None:
    bench.parcels.hold = {"n25"}
    source = await bench.store(*NAMES)
    async with bench.worker():
        batch = await bench.submit(unique, items_source=source, window=1)
        await bench.parcels.held.wait()
        await bench.jobs.cancel(batch.id)
        assert (await bench.jobs.wait(batch.id)).state is JobState.CANCELLED
        bench.parcels.go_on.set()
        again = await bench.submit(unique, items_source=source, window=1)
        job = await bench.jobs.wait(again.id)

    assert job.result is not None
    assert job.result["completed"] == 35
    assert bench.parcels.sent == {f"parcel-{unique}-{index}": 1 for index in range(35)}


async def test_only_the_failed_items_are_done_again(bench: BatchBench, unique: str) -> None:
    bench.parcels.refuse = {"n3", "n20"}
    source = await bench.store(*NAMES)
    async with bench.worker():
        first = await bench.submit(unique, items_source=source)
        await bench.jobs.wait(first.id)
        bench.parcels.refuse = {"n20"}
        second = await bench.submit(f"{unique}-2", retry_of=first.id)
        job = await bench.jobs.wait(second.id)

    lines = await bench.outcomes(job)
    assert [(line["state"], line["job_id"]) for line in lines] == [
        ("completed", f"parcel-{unique}-3"),
        ("failed", f"parcel-{unique}-20"),
    ]
    assert set(bench.parcels.sent.values()) == {1}


@pytest.mark.parametrize("in_chunks", [True, False])
async def test_a_batch_that_continues_as_new_leaves_nothing_out(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_chunks: bool
) -> None:
    async with batch_bench(
        client, unique, tmp_path, monkeypatch, in_chunks=in_chunks, chunk=2
    ) as bench:
        bench.parcels.refuse = {"n2", "n30"}
        items = [{"name": name} for name in NAMES]
        async with bench.worker(ShortRunsWorkflow):
            batch = await bench.submit(unique, items=items, window=5)
            job = await bench.jobs.wait(batch.id)

    lines = await bench.outcomes(job)
    failed = [line["index"] for line in lines if line["state"] == "failed"]
    assert job.run_id != batch.run_id
    assert (len(lines), failed) == (35, [2, 30])
    assert sum(bench.parcels.sent.values()) == len(bench.parcels.sent) == 33


async def test_a_thousand_items_make_a_short_history(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch_bench(client, unique, tmp_path, monkeypatch, chunk=100) as bench:
        source = await bench.store(*(f"n{number}" for number in range(1000)))
        async with bench.worker():
            batch = await bench.submit(unique, items_source=source)
            job = await bench.jobs.wait(batch.id)
        history = await client.get_workflow_handle(batch.id).fetch_history()

    assert job.result is not None
    assert job.result["completed"] == 1000
    assert len(history.events) <= 110

"""What a batch may be made of, and what the door says of the rest."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from jobs import validation
from jobs.batches import BATCH, BatchJob, ItemState, brief
from jobs.batches.contract import MAX_PROBLEMS
from jobs.client import JobClient
from jobs.client.batches import BatchDesk
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError
from tests.batching import batch_bench

WELCOME = {"template": "welcome", "user_id": "ada"}


def problems(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        validation.validate(BATCH.input, data)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_a_wrong_item_is_named_with_its_place_and_field() -> None:
    wrong = {"template": "welcome", "to": "nobody", "data": {"name": "Ada"}}
    found = problems({"kind": "email", "items": [WELCOME, {**WELCOME, "loc": "en"}, wrong]})
    assert set(found) == {"items.1.loc", "items.2.to"}
    assert found["items.1.loc"].startswith("no such field; did you mean")


def test_a_thousand_items_that_are_wrong_alike_are_not_a_thousand_problems() -> None:
    found = problems({"kind": "email", "items": [{"template": "welcome"}] * 1000})
    assert len(found) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({"kind": "emial", "items": [WELCOME]}, "kind", "did you mean 'email'?"),
        ({"kind": "batch", "items": [{}]}, "kind", "no item of a batch"),
        ({"kind": "delivery", "items": [{}]}, "kind", "started by the service"),
        ({"kind": "reminder", "items": [{}]}, "kind", "submit reminder --bulk FILE"),
        ({"kind": "email"}, "", "give one of 'items', 'items_source' and 'retry_of'"),
        ({"kind": "email", "items": []}, "items", "at least 1 item"),
        ({"kind": "email", "items": [WELCOME] * 1001}, "items", "at most 1000 items"),
        ({"kind": "email", "items": [WELCOME], "window": 0}, "window", "greater than"),
        ({"kind": "email", "retry_of": "email-1"}, "retry_of", "match pattern"),
    ],
)
def test_what_can_be_no_batch_is_refused_with_the_fix(
    data: dict[str, Any], field: str, says: str
) -> None:
    assert says in problems(data)[field]


def test_items_that_are_too_much_for_an_input_belong_into_a_file() -> None:
    item = {**WELCOME, "data": {"name": "x" * 200}}
    found = problems({"kind": "email", "items": [item] * 600})
    assert "give it as 'items_source'" in found["items"]


def test_items_are_not_checked_again_in_a_history() -> None:
    job = BatchJob.model_validate({"kind": "email", "items": [{"of": "an older version"}]})
    assert job.items == [{"of": "an older version"}]


def test_what_is_shown_of_a_batch_holds_no_personal_data() -> None:
    shown = validation.redact(BATCH.input, {"kind": "email", "items": [WELCOME], "window": 5})
    assert shown == {"kind": "email", "items": "***", "window": 5}


def test_the_brief_result_of_an_item_is_small_and_plain() -> None:
    result = {"text": "x" * 1000, "count": 3, "files": [{"key": "a"}], "none": None, "ok": True}
    assert brief(result) == {"text": "x" * 200, "count": 3, "ok": True}


async def test_an_owner_can_put_only_files_of_their_own_into_items(client: Client) -> None:
    items = [{"source": "examples/photo.jpg"}, {"source": "uploads/somebody/photo.jpg"}]
    operations = [{"type": "compress", "quality": 80}]
    data = {"kind": "image", "items": [{**item, "operations": operations} for item in items]}
    with pytest.raises(InvalidInputError) as caught:
        await JobClient(client, owner="ada").submit("batch", data)
    assert [problem.field for problem in caught.value.problems] == ["items.1.source"]


async def test_an_owner_can_t_do_another_s_items_again(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch_bench(client, unique, tmp_path, monkeypatch) as bench:
        theirs = await bench.submit(unique, owner="grace", items=[{"name": "a"}])
        ada = JobClient(client, owner="ada")
        with pytest.raises(InvalidInputError, match="no such batch among yours"):
            await ada.submit("batch", {"kind": "parcel", "retry_of": theirs.id})
        desk = BatchDesk(client, bench.ledger, owner="ada")
        with pytest.raises(JobNotFoundError):
            await desk.items(theirs.id)


async def test_items_are_shown_by_place_and_by_state(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch_bench(client, unique, tmp_path, monkeypatch) as bench:
        bench.parcels.refuse = {"b"}
        desk = BatchDesk(client, bench.ledger)
        batch = await bench.submit(unique, items=[{"name": name} for name in "abc"])
        with pytest.raises(ConflictError, match="has not begun"):
            await desk.items(batch.id)
        async with bench.worker():
            await bench.jobs.wait(batch.id)

        (failed,) = await desk.items(batch.id, states=[ItemState.FAILED])
        assert (failed.index, failed.error_type) == (1, "ParcelRefused")
        assert (await desk.item(batch.id, 2)).result == {"to": "c"}
        assert [item.index for item in await desk.items(batch.id, after=0, limit=1)] == [1]
        with pytest.raises(InvalidInputError, match="use 0 to 2"):
            await desk.item(batch.id, 3)


async def test_progress_counts_items_of_the_whole_batch(
    client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch_bench(client, unique, tmp_path, monkeypatch) as bench, bench.worker():
        bench.parcels.hold = {"n25"}
        names = [{"name": f"n{number}"} for number in range(40)]
        batch = await bench.submit(unique, items=names, window=50)
        seen = await anext(
            job async for job in bench.jobs.watch(batch.id) if job.progress.done == 39
        )
        bench.parcels.go_on.set()
        await bench.jobs.wait(batch.id)

    assert (seen.progress.total, seen.progress.unit) == (40, "items")
    assert seen.progress.percent == 97.5
    assert seen.progress.rate
    assert seen.progress.eta_seconds is not None

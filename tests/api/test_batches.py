"""The items of a batch over HTTP."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.api.conftest import Api
from tests.batching import batch_bench


async def test_items_are_told_to_their_owner_by_place_and_state(
    api: Api, client: Client, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch_bench(client, unique, tmp_path, monkeypatch) as bench:
        monkeypatch.setattr("api.routes.jobs.items.BatchLedger", lambda _: bench.ledger)
        bench.parcels.refuse = {"b"}
        items = [{"name": name} for name in "abc"]
        async with bench.worker():
            batch = await bench.submit(unique, owner="ada", items=items)
            await bench.jobs.wait(batch.id)
        url = f"/v1/jobs/{batch.id}/items"
        async with api.as_owner("ada") as ada, api.as_owner("grace") as grace:
            whole = (await ada.get(url)).json()["data"]
            failed = (await ada.get(url, params={"state": "failed"})).json()["data"]
            first = (await ada.get(url, params={"index": 0})).json()["data"]
            beyond = await ada.get(url, params={"index": 3})
            hidden = await grace.get(url)

    assert [item["state"] for item in whole] == ["completed", "failed", "completed"]
    assert [(item["index"], item["error_type"]) for item in failed] == [(1, "ParcelRefused")]
    assert first[0]["result"] == {"to": "a"}
    assert (beyond.status_code, hidden.status_code) == (422, 404)

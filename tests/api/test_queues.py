"""Queues over HTTP, for operators."""

import pytest

from jobs.access import Scope
from jobs.base import Queue
from tests.api.conftest import Api

PAUSE = {"reason": "the relay is down"}


async def test_a_queue_is_paused_shown_and_resumed_by_an_operator(api: Api) -> None:
    async with api.as_owner("ada", Scope.ADMIN) as ada:
        paused = await ada.post("/v1/queues/batches/pause", json={**PAUSE, "for": "1h"})
        listed = await ada.get("/v1/queues")
        resumed = await ada.post("/v1/queues/batches/resume")
        again = await ada.post("/v1/queues/batches/resume")

    assert (paused.status_code, resumed.status_code, again.status_code) == (200, 200, 409)
    shown = {queue["name"]: queue for queue in listed.json()["data"]}
    assert list(shown) == list(Queue)
    assert shown["batches"] == paused.json()
    assert (paused.json()["paused"], paused.json()["author"]) == (True, "ada")
    assert paused.json()["until"] is not None
    assert not resumed.json()["paused"]


@pytest.mark.parametrize(("rate", "per_second"), [("10/m", 1 / 6), (2.5, 2.5), (None, None)])
async def test_a_limit_is_set_as_text_or_number_and_taken_away(
    api: Api, rate: object, per_second: float | None
) -> None:
    async with api.as_owner("ada", Scope.ADMIN) as ada:
        limit = await ada.put("/v1/queues/batches/limit", json={"rate": rate, "reason": "plan"})
    assert limit.status_code == 200
    assert limit.json()["rate"] == (pytest.approx(per_second) if per_second else None)
    assert limit.json()["author"] == "ada"


@pytest.mark.parametrize("order", [{"rate": -1, "reason": "x"}, {"rate": "0/s", "reason": "x"},
                                   {"rate": "fast", "reason": "x"}, {"rate": 1}])  # fmt: skip
async def test_a_limit_that_can_not_be_is_refused(api: Api, order: dict[str, object]) -> None:
    async with api.as_owner("ada", Scope.ADMIN) as ada:
        assert (await ada.put("/v1/queues/batches/limit", json=order)).status_code == 422


async def test_an_unknown_queue_is_not_found_and_the_nearest_named(api: Api) -> None:
    async with api.as_owner("ada", Scope.ADMIN) as ada:
        answer = await ada.post("/v1/queues/batch/pause", json=PAUSE)
    assert answer.status_code == 404
    assert "did you mean 'batches'?" in answer.text


async def test_queues_are_for_operators_only(api: Api) -> None:
    async with api.as_owner("ada") as ada:
        answers = [
            await ada.get("/v1/queues"),
            await ada.post("/v1/queues/batches/pause", json=PAUSE),
            await ada.post("/v1/queues/batches/resume"),
            await ada.put("/v1/queues/batches/limit", json={"rate": 1, "reason": "x"}),
        ]
    assert [answer.status_code for answer in answers] == [403] * 4

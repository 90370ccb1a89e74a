"""Jobs over HTTP, against a real server and a real worker."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx

from jobs.access import Scope
from tests.api.conftest import Api
from tests.jobs.conftest import StartWorker

T = TypeVar("T")

NOTE = {"kind": "note", "input": {"text": "hello", "to": "ada@example.com"}}


async def until(http: httpx.AsyncClient, job_id: str, *states: str) -> dict[str, object]:
    while True:
        job: dict[str, object] = (await http.get(f"/v1/jobs/{job_id}")).json()
        if job["state"] in states:
            return job
        await asyncio.sleep(0.05)


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """Return what ``look`` finds, when it finds something: the index follows a moment later."""
    while True:
        if found := await look():
            return found
        await asyncio.sleep(0.05)


async def data_of(http: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await http.get(url)).json()["data"]
    return data


async def test_a_job_is_accepted_followed_and_its_result_read(
    api: Api, worker: StartWorker
) -> None:
    async with api.as_owner("ada") as http, worker():
        accepted = await http.post("/v1/jobs", json=NOTE)
        assert accepted.status_code == 202
        job = accepted.json()
        assert accepted.headers["location"] == f"/v1/jobs/{job['id']}"
        assert (job["owner"], job["created"]) == ("ada", True)

        done = await until(http, job["id"], "completed")
        assert done["result"] == {"text": "hello"}
        assert (await http.get(f"/v1/jobs/{job['id']}/result")).json() == {"text": "hello"}
        lines = (await http.get(f"/v1/jobs/{job['id']}/logs")).json()["data"]
        assert [lines[0]["text"], lines[-1]["text"]] == ["submitted", "completed"]


async def test_personal_data_of_an_input_is_shown_as_stars(api: Api) -> None:
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        shown = (await http.get(f"/v1/jobs/{job['id']}")).json()
        assert shown["input"]["to"] == job["input"]["to"] == "***"
        assert shown["input"]["text"] == "hello"


async def test_an_open_job_says_when_to_ask_again_and_is_not_sent_twice(api: Api) -> None:
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json={**NOTE, "delay": "10m"})).json()
        first = await http.get(f"/v1/jobs/{job['id']}")
        assert first.json()["state"] == "scheduled"
        assert 500 < int(first.headers["retry-after"]) <= 600
        assert first.headers["cache-control"] == "no-store"
        again = await http.get(
            f"/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


async def test_the_same_key_and_input_give_the_same_job(api: Api) -> None:
    async with api.as_owner("ada") as http:
        headers = {"Idempotency-Key": "order-17"}
        first = await http.post("/v1/jobs", json=NOTE, headers=headers)
        second = await http.post("/v1/jobs", json=NOTE, headers={"Idempotency-Key": '"order-17"'})
        assert (first.status_code, second.status_code) == (202, 200)
        assert first.json()["id"] == second.json()["id"]
        assert second.json()["created"] is False

        other = {"kind": "note", "input": {"text": "other"}}
        conflict = await http.post("/v1/jobs", json=other, headers=headers)
        assert conflict.status_code == 422
        assert "fingerprint" in conflict.json()["detail"]
        refused = await http.post(
            "/v1/jobs", json={**NOTE, "on_conflict": "error"}, headers=headers
        )
        assert refused.status_code == 409


async def test_owners_do_not_share_keys(api: Api) -> None:
    headers = {"Idempotency-Key": "order-17"}
    async with api.as_owner("ada") as ada, api.as_owner("bob") as bob:
        theirs = (await ada.post("/v1/jobs", json=NOTE, headers=headers)).json()
        answer = await bob.post("/v1/jobs", json=NOTE, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["id"] != theirs["id"]


async def test_a_caller_may_wait_for_the_end(api: Api, worker: StartWorker) -> None:
    async with api.as_owner("ada") as http, worker():
        answer = await http.post("/v1/jobs", json=NOTE, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=60"
        assert answer.json()["state"] == "completed"


async def test_a_wait_that_is_over_says_that_the_job_goes_on(api: Api) -> None:
    async with api.as_owner("ada") as http:
        answer = await http.post("/v1/jobs", json=NOTE, headers={"Prefer": "wait=1"})
        assert answer.status_code == 202
        assert answer.json()["state"] == "waiting"


async def test_each_wrong_field_is_pointed_at(api: Api) -> None:
    async with api.as_owner("ada") as http:
        answer = await http.post(
            "/v1/jobs",
            json={"kind": "image", "input": {"operations": [{"type": "resize"}], "x": 1}},
        )
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        pointers = {error["pointer"] for error in answer.json()["errors"]}
        assert "/input/x" in pointers


async def test_options_are_pointed_at_beside_the_input(api: Api) -> None:
    async with api.as_owner("ada") as http:
        both = {**NOTE, "delay": "10m", "run_at": "2030-01-01T00:00:00Z"}
        answer = await http.post("/v1/jobs", json=both)
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/delay"]
        answer = await http.post("/v1/jobs", json={**NOTE, "kind": "not"})
        assert answer.json()["errors"][0]["pointer"] == "/kind"
        assert "note" in answer.json()["errors"][0]["detail"]


async def test_many_jobs_are_answered_one_by_one(api: Api) -> None:
    async with api.as_owner("ada") as http:
        items = [
            {**NOTE, "idempotency_key": "a"},
            {"kind": "note", "input": {}},
            {**NOTE, "priority": 9},
            {**NOTE, "idempotency_key": "a"},
        ]
        answer = await http.post("/v1/jobs/bulk", json={"items": items})
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert sorted([data[0]["status"], data[3]["status"]]) == [200, 202]
        assert [data[1]["status"], data[2]["status"]] == [422, 422]
        assert data[1]["problem"]["errors"][0]["pointer"] == "/input/text"
        assert data[2]["problem"]["errors"][0]["pointer"] == "/priority"


async def test_a_list_has_pages_and_only_the_owners_jobs(api: Api, unique: str) -> None:
    async with api.as_owner(unique) as http, api.as_owner("other") as other:
        await other.post("/v1/jobs", json=NOTE)
        made = {(await http.post("/v1/jobs", json=NOTE)).json()["id"] for _ in range(3)}
        seen: set[str] = set()
        while len(seen) < len(made):  # the index follows a moment later
            seen = set()
            url: str | None = "/v1/jobs?limit=2&kind=note"
            while url:
                page = await http.get(url)
                seen |= {job["id"] for job in page.json()["data"]}
                url = page.links.get("next", {}).get("url")
                assert page.json()["has_more"] == (url is not None)
        assert seen == made


async def test_an_admin_sees_every_owners_jobs(api: Api, unique: str) -> None:
    async with api.as_owner(unique) as http, api.as_owner("root", Scope.ADMIN) as admin:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        assert (await admin.get(f"/v1/jobs/{job['id']}")).json()["owner"] == unique
        assert await eventually(lambda: data_of(admin, f"/v1/jobs?owner={unique}"))
        refused = await http.get("/v1/jobs?owner=root")
        assert refused.status_code == 403


async def test_a_job_is_cancelled_once(api: Api, worker: StartWorker) -> None:
    async with api.as_owner("ada") as http, worker():
        order = {"kind": "note", "input": {"text": "x", "behave": "wait"}}
        job = (await http.post("/v1/jobs", json=order)).json()
        await until(http, job["id"], "running")
        assert (await http.get(f"/v1/jobs/{job['id']}/result")).status_code == 409
        assert (await http.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 202
        await until(http, job["id"], "cancelled")
        again = await http.post(f"/v1/jobs/{job['id']}/cancel")
        assert (again.status_code, again.json()["title"]) == (409, "Conflict")


async def test_a_job_is_deleted_with_its_files_when_it_has_ended(
    api: Api, worker: StartWorker
) -> None:
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        assert (await http.delete(f"/v1/jobs/{job['id']}")).status_code == 409
        await api.services.storage.put(f"jobs/{job['id']}/a.txt", b"a")
        async with worker():
            await until(http, job["id"], "completed")
        assert (await http.delete(f"/v1/jobs/{job['id']}")).status_code == 204
        assert await api.services.storage.stat(f"jobs/{job['id']}/a.txt") is None

        async def gone() -> bool:
            return (await http.get(f"/v1/jobs/{job['id']}")).status_code == 404

        assert await eventually(gone)


async def test_a_delayed_job_shows_when_it_is_due(api: Api) -> None:
    async with api.as_owner("ada") as http:
        due = datetime.now(UTC) + timedelta(hours=2)
        answer = await http.post("/v1/jobs", json={**NOTE, "run_at": due.isoformat()})
        shown = datetime.fromisoformat(answer.json()["scheduled_at"])
        assert abs(shown - due) < timedelta(seconds=5)


async def test_jobs_are_counted_for_their_owner(api: Api, unique: str) -> None:
    async with api.as_owner(unique) as http:
        await http.post("/v1/jobs", json=NOTE)
        rows = await eventually(lambda: data_of(http, "/v1/stats?by=kind"))
        assert [(row["kind"], row["count"]) for row in rows] == [("note", 1)]

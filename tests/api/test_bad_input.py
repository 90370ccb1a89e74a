"""What strangers send, and what they get: a problem, never a 500."""

import base64
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from jobs.access import Scope
from tests.api.conftest import Api
from tests.api.test_jobs import NOTE, eventually

QUOTES = ["'", "' OR 1=1 --", '"', "\\", "a' AND JobOwner = 'bob", "%00", "\x00", "é", "a" * 64]


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.as_owner("ada") as client:
        yield client


def is_problem(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"kind": "note", "inp', 400),
        (b"", 422),
        (b"[" * 100_000, 400),
        (b'{"kind": "note", "input": {"text": NaN}}', 422),
        (b'{"kind": "note", "input": {"text": "x", "n": 1e999}}', 422),
        (b'{"kind": "note", "input": {"text": "\\ud800"}}', 422),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (json.dumps({**NOTE, "tags": {f"t{n}": "v" for n in range(10_000)}}).encode(), 422),
        (json.dumps({**NOTE, "delay": "999999999w"}).encode(), 422),
        (json.dumps({**NOTE, "run_at": "0001-01-01T00:00:00+14:00"}).encode(), 422),
        (json.dumps({**NOTE, "run_at": "2030-01-01T00:00:00"}).encode(), 422),
    ],
)
async def test_a_body_that_is_no_job(http: httpx.AsyncClient, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    is_problem(await http.post("/v1/jobs", content=body, headers=headers), status)


@pytest.mark.parametrize("sent", ["text/plain", "application/xml", "multipart/form-data", ""])
async def test_a_body_of_another_type(http: httpx.AsyncClient, sent: str) -> None:
    headers = {"Content-Type": sent}
    is_problem(await http.post("/v1/jobs", content=b"{}", headers=headers), 415)


async def test_more_jobs_at_once_than_allowed(http: httpx.AsyncClient) -> None:
    is_problem(await http.post("/v1/jobs/bulk", json={"items": [NOTE] * 1001}), 422)
    is_problem(await http.post("/v1/jobs/bulk", json={"items": []}), 422)


async def test_a_body_that_is_too_large_is_not_read(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1_000_000

    headers = {"Content-Type": "application/json"}
    whole = await http.post("/v1/jobs", content=b" " * 10_000_000, headers=headers)
    is_problem(whole, 413)
    is_problem(await http.post("/v1/jobs", content=endless(), headers=headers), 413)


@pytest.mark.parametrize("value", QUOTES)
async def test_no_owner_can_be_broken_out_of(api: Api, value: str) -> None:
    async with api.as_owner("root", Scope.ADMIN) as admin:
        answer = await admin.get("/v1/jobs", params={"owner": value})
        if value == "a" * 64:
            assert answer.json()["data"] == []
        else:
            is_problem(answer, 422)
        order = {"owner": value, "since": "1h", "dry_run": True}
        assert (await admin.post("/v1/redrives", json=order)).status_code in {200, 422}
        assert (await admin.get("/v1/stats", params={"by": value})).status_code == 422


@pytest.mark.parametrize("name", ["kind", "state", "error", "tag", "since", "cursor", "limit"])
async def test_no_filter_can_be_broken_out_of(http: httpx.AsyncClient, name: str) -> None:
    for value in QUOTES:
        answer = await http.get("/v1/jobs", params={name: value})
        if (name, value) == ("error", "a" * 64):
            assert answer.json()["data"] == []
        else:
            is_problem(answer, 422)


async def test_a_cursor_is_no_way_into_anothers_list(api: Api, unique: str) -> None:
    async with api.as_owner(unique) as ada, api.as_owner(f"{unique}-bob") as bob:
        for _ in range(2):
            await ada.post("/v1/jobs", json=NOTE)

        async def first_page() -> str | None:
            found: str | None = (await ada.get("/v1/jobs?limit=1")).json()["next_cursor"]
            return found

        cursor = await eventually(first_page)
        assert (await bob.get("/v1/jobs", params={"cursor": cursor})).json()["data"] == []
        for forged in (b"{}", b'{"RunID": "x"}', b"\x00" * 99, json.dumps(NOTE).encode()):
            answer = await ada.get(
                "/v1/jobs", params={"cursor": base64.urlsafe_b64encode(forged).decode()}
            )
            assert answer.status_code in {200, 422}
            assert all(job["owner"] == unique for job in answer.json().get("data", []))


@pytest.mark.parametrize(
    "job_id",
    ["a%2Fb", "a%0Ab", "..%2F..%2Fetc", "%00", "a'b", "%F0%9F%90%A7", "a" * 250, "a" * 999],
)
async def test_an_id_that_is_none(http: httpx.AsyncClient, job_id: str) -> None:
    for suffix in ("", "/logs", "/result", "/events"):
        is_problem(await http.get(f"/v1/jobs/{job_id}{suffix}"), 404, 422)


@pytest.mark.parametrize("key", ["", "a b", "é".encode(), "a/b", "x" * 101, "x" * 300])
async def test_an_idempotency_key_that_is_none(http: httpx.AsyncClient, key: str | bytes) -> None:
    headers = {b"Idempotency-Key": key if isinstance(key, bytes) else key.encode()}
    answer = await http.post("/v1/jobs", json=NOTE, headers=headers)
    is_problem(answer, 422)
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_what_is_no_picture_is_refused_by_its_first_bytes(http: httpx.AsyncClient) -> None:
    for body in (b"", b"<svg></svg>", b"%PDF-1.7", b"\x7fELF" + b"\x00" * 600):
        answer = await http.post("/v1/images", content=body, headers={"Content-Type": "image/png"})
        is_problem(answer, 415)
    form = await http.post("/v1/images", files={"other": ("a.png", b"x")})
    is_problem(form, 422)
    broken = await http.post(
        "/v1/images",
        content=b"no form",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    is_problem(broken, 400, 422)


async def test_every_answer_has_the_safe_headers(http: httpx.AsyncClient) -> None:
    for path in ("/v1/jobs", "/v1/nothing", "/nothing", "/healthz", "/sign-in"):
        headers = (await http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path


async def test_a_method_that_is_not_there(http: httpx.AsyncClient) -> None:
    is_problem(await http.put("/v1/jobs", json={}), 405)

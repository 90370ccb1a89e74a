"""Keys, owners, scopes: who is let in, and what they can't see."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from adapters.database.access import ApiKeys
from api.access import Rates
from api.problems import ApiError
from jobs.access import Scope, key_id_of
from tests.api.conftest import Api
from tests.api.test_jobs import NOTE
from tests.end_to_end.installation import ROOT

ROUTE = re.compile(r"^\| `([A-Z]+) (\S+)` \| ([a-z ]+) \|", re.MULTILINE)
"""A row of the table of routes in ``docs/api.md``."""

OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/files/",
              "/v1/hooks/", "/v1/unsubscribe/")  # fmt: skip


def routes_of(document: dict[str, object]) -> list[tuple[str, str]]:
    paths = document["paths"]
    assert isinstance(paths, dict)
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if not path.startswith(OPEN_PATHS)
    ]


BODIES = {
    "/v1/images/{image_id}/process": {"operations": [{"type": "resize", "width": 10}]},
    "/v1/endpoints/{endpoint_id}/replay": {},
    "/v1/jobs/{job_id}/reschedule": {"at": "2030-01-01T00:00:00Z"},
    "/v1/jobs/{job_id}/hold": {"reason": "x"},
}


async def test_every_route_of_one_thing_is_404_for_another_owner(api: Api) -> None:
    async with api.as_owner("ada") as ada, api.as_owner("bob") as bob:
        job = (await ada.post("/v1/jobs", json=NOTE)).json()["id"]
        image = await ada.post("/v1/images", content=PNG, headers={"Content-Type": "image/png"})
        hook = {"url": "https://hooks.example.com/in"}
        endpoint = (await ada.post("/v1/endpoints", json=hook)).json()["endpoint"]["id"]
        ids = {"job_id": job, "image_id": image.json()["id"], "endpoint_id": endpoint,
               "delivery_id": job, "event_id": job}  # fmt: skip
        document = (await ada.get("/openapi.json")).json()
        walked = 0
        for method, path in routes_of(document):
            if not any(f"{{{name}}}" in path for name in ids):
                continue
            places = (path.format(**ids), path.format(**dict.fromkeys(ids, "note-no-such")))
            body = BODIES.get(path)
            answers = [await bob.request(method, place, json=body) for place in places]
            walked += 1
            assert [answer.status_code for answer in answers] == [404, 404], (method, path)
            assert answers[0].content == answers[1].content, (method, path)
        assert walked >= 24
        assert (await ada.get(f"/v1/jobs/{job}")).json()["state"] == "waiting"


async def test_every_route_wants_a_key_and_says_the_same_to_all_who_have_none(api: Api) -> None:
    expired = await api.key("ada", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    forged = expired[:-1] + ("A" if expired[-1] != "A" else "B")
    async with api.client() as http:
        for method, path in routes_of((await http.get("/openapi.json")).json()):
            answer = await http.request(method, path, json={})
            assert answer.status_code == 401, (method, path)
        bodies = set()
        for shown in (expired, forged, "sk_short", "a.b.c", "é" * 20):
            headers = {b"Authorization": f"Bearer {shown}".encode()}
            answer = await http.get("/v1/jobs", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            bodies.add(answer.content)
        assert len(bodies) == 1


async def test_a_key_for_reading_changes_nothing(api: Api) -> None:
    async with api.as_owner("ada", Scope.READ) as http:
        answer = await http.post("/v1/jobs", json=NOTE)
        assert answer.status_code == 403
        assert "jobs:write" in answer.json()["detail"]
        assert (await http.get("/v1/jobs")).status_code == 200


async def test_the_page_tells_every_route_and_what_it_needs(api: Api) -> None:
    async with (
        api.client() as nobody,
        api.as_owner("ada", Scope.READ) as reader,
        api.as_owner("ada") as writer,
    ):
        document = (await nobody.get("/openapi.json")).json()
        told = ROUTE.findall((ROOT / "docs" / "api.md").read_text())
        routes = [(method.upper(), path) for path, of in document["paths"].items() for method in of]
        assert [(method, path) for method, path, _ in told] == routes
        lacking = {"no key": None, "read": nobody, "write": reader, "admin": writer}
        for method, path, needed in told:
            if (http := lacking[needed]) is not None:
                answer = await http.request(method, path, json={})
                assert answer.status_code == (401 if http is nobody else 403), (method, path)


async def test_a_revoked_key_opens_nothing_and_the_key_is_not_kept(api: Api) -> None:
    key = await api.key("ada")
    key_id = key_id_of(key)
    assert key_id is not None
    keys = ApiKeys(api.services.database)
    assert await keys.revoke(key_id, datetime.now(UTC))
    async with api.client(key) as http:
        assert (await http.get("/v1/jobs")).status_code == 401
    found = await keys.find(key_id)
    assert found is not None
    assert key not in repr(found)
    assert len(found[1]) == 64


async def test_the_last_use_of_a_key_is_kept(api: Api) -> None:
    key = await api.key("ada")
    async with api.client(key) as http:
        await http.get("/v1/kinds")
    await api.services.gate.close()
    [known] = await ApiKeys(api.services.database).list("ada")
    assert known.last_used_at is not None


async def test_another_owners_file_can_not_be_named_as_an_input(api: Api) -> None:
    async with api.as_owner("ada") as ada, api.as_owner("bob") as bob:
        image = await ada.post("/v1/images", content=PNG, headers={"Content-Type": "image/png"})
        order = {
            "kind": "image",
            "input": {
                "source": image.json()["source"],
                "operations": [{"type": "resize", "width": 10}],
            },
        }
        refused = await bob.post("/v1/jobs", json=order)
        assert refused.status_code == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/input/source"]
        assert (await ada.post("/v1/jobs", json=order)).status_code == 202


@pytest.mark.parametrize("name", ["delivery", "webhook"])
async def test_kinds_of_the_service_itself_are_not_submitted(api: Api, name: str) -> None:
    async with api.as_owner("ada") as http:
        answer = await http.post("/v1/jobs", json={"kind": name, "input": {}})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/kind"


def test_a_key_has_its_rate_and_fills_again() -> None:
    now = 0.0
    rates = Rates(1 / 30, clock=lambda: now)
    rates.take("a", 2)
    with pytest.raises(ApiError) as refused:
        rates.take("a")
    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": "30"}
    rates.take("b")
    now = 31.0
    rates.take("a")


async def test_too_many_submissions_are_told_when_to_come_again(api: Api) -> None:
    api.services.rates.per_second = 1 / 3600
    async with api.as_owner("ada") as http:
        answers = [await http.post("/v1/jobs", json=NOTE) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 429]
        assert int(answers[1].headers["retry-after"]) > 1


PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa7\x9a\xa0\xa0\x00"
    b"\x00\x00\x00IEND\xaeB`\x82"
)

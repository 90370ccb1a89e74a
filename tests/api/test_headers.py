"""Headers that keep browsers from what an answer is not meant for, and those of CORS."""

from collections.abc import AsyncIterator

import pytest

from jobs.client import JobClient
from settings import Settings
from tests.api.conftest import Api, serving

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PATHS = (
    "/healthz",
    "/v1/jobs",
    "/v1/nothing",
    "/codec/decode",
    "/docs",
    "/openapi.json",
    "/sign-in",
    "/static/page.css",
)


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_headers_and_runs_nothing_from_elsewhere(
    api: Api, path: str
) -> None:
    async with api.client() as http:
        answer = await http.get(path)
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy.replace("https://*.amazonaws.com", "")
    assert "server" not in answer.headers or "/" not in answer.headers["server"]
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/nothing", "/codec/decode", "/sign-in"])
async def test_what_is_of_someone_is_not_kept(api: Api, path: str) -> None:
    async with api.client() as http:
        assert (await http.get(path)).headers["Cache-Control"] == "no-store"


async def test_behind_tls_browsers_are_told_to_stay_there_and_cookies_too(
    api: Api, api_settings: Settings
) -> None:
    secure = api_settings.model_copy(update={"public_url": "https://jobs.example.com"})
    jobs = JobClient(api.services.jobs.temporal)
    async with serving(secure, jobs) as served, served.client() as http:
        signed_in = await http.post("/sign-in", data={"key": await served.key("ada")})
        health = await http.get("/healthz")
    assert health.headers["Strict-Transport-Security"].startswith("max-age=")
    cookie = signed_in.headers["Set-Cookie"].lower()
    assert all(word in cookie for word in ("secure", "httponly", "samesite=lax"))


ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
}


@pytest.fixture
async def allowing(api: Api, api_settings: Settings) -> AsyncIterator[Api]:
    """The API, which pages of one origin may call."""
    settings = api_settings.model_copy(update={"api_cors_origins": [ORIGIN]})
    async with serving(settings, JobClient(api.services.jobs.temporal)) as served:
        yield served


async def test_a_page_of_an_allowed_origin_may_call_and_read_the_headers(allowing: Api) -> None:
    async with allowing.as_owner("ada") as http:
        asked = await http.options("/v1/jobs", headers={"Origin": ORIGIN, **PREFLIGHT})
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in asked.headers["access-control-allow-methods"]
        granted = asked.headers["access-control-allow-headers"].lower()
        assert {"authorization", "idempotency-key", "prefer"} <= set(granted.split(", "))
        for answer in (
            await http.get("/v1/jobs", headers={"Origin": ORIGIN}),
            await http.get("/v1/jobs/note-x", headers={"Origin": ORIGIN}),
            await http.get("/v1/jobs", headers={"Origin": ORIGIN, "Authorization": "x"}),
        ):
            assert answer.headers["access-control-allow-origin"] == ORIGIN, answer.status_code
            assert "Retry-After" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_another_origin_is_allowed_nothing(allowing: Api) -> None:
    foreign = {"Origin": "https://app.example.com.evil.example"}
    async with allowing.as_owner("ada") as http:
        asked = await http.options("/v1/jobs", headers={**foreign, **PREFLIGHT})
        answer = await http.get("/v1/jobs", headers=foreign)
    assert asked.status_code == 400
    for refused in (asked, answer):
        assert "access-control-allow-origin" not in refused.headers


async def test_without_origins_in_the_settings_no_page_may_call(api: Api) -> None:
    async with api.as_owner("ada") as http:
        asked = await http.options("/v1/jobs", headers={"Origin": ORIGIN, **PREFLIGHT})
        answer = await http.get("/v1/jobs", headers={"Origin": ORIGIN})
    assert (asked.status_code, answer.status_code) == (405, 200)
    for refused in (asked, answer):
        assert "access-control-allow-origin" not in refused.headers

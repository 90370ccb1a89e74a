"""Headers that keep browsers from doing what an answer is not meant for."""

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

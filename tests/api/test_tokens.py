"""Tokens of an identity provider, whose keys are read from it over HTTPS."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from api.tokens import KEYS_KEPT_S, UNKNOWN_KEY_WAIT_S
from jobs.client import JobClient
from settings import Settings
from tests.api.conftest import Api, serving
from tests.authority import make_authority

ISSUER = "https://id.example.com"


@dataclass
class Provider:
    """An identity provider, and the clock of the service that reads its keys."""

    url: str = ""
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    away: bool = False
    asked: int = 0
    now: float = 1000.0

    def rotate(self, key_id: str) -> None:
        """Sign with another key, and publish no other."""
        self.keys = {key_id: ec.generate_private_key(ec.SECP256R1())}

    def token(self, key_id: str, owner: str = "ada") -> str:
        """Return a token of an owner's, signed with that key if there is one, else with any."""
        key = self.keys.get(key_id) or ec.generate_private_key(ec.SECP256R1())
        claims = {"iss": ISSUER, "aud": "conveyor", "sub": owner, "scope": "jobs:read",
                  "exp": time.time() + 600}  # fmt: skip
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": key_id})

    async def answer(self, _: web.Request) -> web.Response:
        """Publish the keys."""
        self.asked += 1
        if self.away:
            return web.Response(status=502)
        public = [
            {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": key_id}
            for key_id, key in self.keys.items()
        ]
        return web.json_response({"keys": public})


@pytest.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    """A provider with one key, ``first``."""
    authority, context = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr("api.tokens.FETCH_TIMEOUT_S", 60)
    opened = Provider()
    opened.rotate("first")
    app = web.Application()
    app.router.add_get("/jwks.json", opened.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    opened.url = f"https://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    yield opened
    await runner.cleanup()


@pytest.fixture
async def trusting(
    api: Api, api_settings: Settings, provider: Provider
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that trusts the provider."""
    named = {"jwt_issuer": ISSUER, "jwt_audience": "conveyor", "jwt_jwks": provider.url}
    settings = api_settings.model_copy(update=named)
    async with serving(settings, JobClient(api.services.jobs.temporal)) as served:
        verifier = served.services.gate.tokens
        assert verifier is not None
        verifier.clock = lambda: provider.now
        async with served.client() as http:
            yield http


async def status(http: httpx.AsyncClient, token: str) -> int:
    answer = await http.get("/v1/kinds", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def test_a_token_is_good_by_the_keys_that_the_provider_publishes(
    trusting: httpx.AsyncClient, provider: Provider
) -> None:
    assert await status(trusting, provider.token("first")) == 200
    assert await status(trusting, provider.token("first", owner="bob")) == 200
    assert await status(trusting, provider.token("strange")) == 401
    assert provider.asked == 1


async def test_keys_are_read_anew_after_a_rotation_and_not_for_each_strange_one(
    trusting: httpx.AsyncClient, provider: Provider
) -> None:
    old = provider.token("first")
    assert await status(trusting, old) == 200
    provider.rotate("second")
    provider.now += UNKNOWN_KEY_WAIT_S + 1
    assert await status(trusting, provider.token("second")) == 200
    assert await status(trusting, old) == 401
    for number in range(5):
        assert await status(trusting, provider.token(f"strange-{number}")) == 401
    assert provider.asked == 2


async def test_while_the_provider_is_away_known_keys_are_good_and_others_come_again(
    trusting: httpx.AsyncClient, provider: Provider
) -> None:
    token = provider.token("first")
    provider.away = True
    answer = await trusting.get("/v1/kinds", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    provider.away = False
    provider.now += UNKNOWN_KEY_WAIT_S + 1
    assert await status(trusting, token) == 200
    provider.away = True
    provider.now += KEYS_KEPT_S + 1
    assert await status(trusting, token) == 200
    assert await status(trusting, provider.token("strange")) == 503
    assert provider.asked == 3
    assert await status(trusting, "a.b.c") == 401

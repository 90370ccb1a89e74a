"""Pictures, links to files, webhooks from outside, unsubscriptions; also while Temporal is away."""

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.links import FileLinks
from api.problems import ApiError
from api.tokens import TokenRefused, TokenVerifier
from jobs.access import INTERNAL_KINDS, Scope
from jobs.client import JobClient, connect
from jobs.kinds import ALL
from jobs.signatures import standard
from jobs.signatures.standard import SignatureAlgorithm
from jobs.webhooks.sources import WebhookSource
from settings import Settings
from tests.api.conftest import Api, serving
from tests.api.test_access import PNG

SECRET = standard.verification_key(standard.new_key(SignatureAlgorithm.HMAC))


async def test_a_picture_is_uploaded_recorded_and_processed(api: Api) -> None:
    async with api.as_owner("ada") as http, api.as_owner("bob") as bob:
        form = await http.post("/v1/images", files={"file": ("dot.png", PNG, "image/png")})
        assert form.status_code == 201
        record = form.json()
        assert (record["status"], record["file_name"], record["bytes"]) == (
            "pending", "dot.png", len(PNG))  # fmt: skip
        assert await api.services.storage.get(record["source"]) == PNG

        order = {"operations": [{"type": "resize", "width": 10}]}
        place = f"{form.headers['location']}/process"
        assert (await bob.post(place, json=order)).status_code == 404
        started = await http.post(place, json=order)
        assert started.status_code == 202
        assert started.json()["input"]["image_id"] == record["id"]


async def test_a_picture_over_the_limit_leaves_nothing(api: Api) -> None:
    api.services.settings.__dict__["image_max_bytes"] = 1000
    async with api.as_owner("ada") as http:
        headers = {"Content-Type": "image/png"}
        answer = await http.post("/v1/images", content=PNG + b"\x00" * 2000, headers=headers)
        assert answer.status_code == 413
    assert [found async for found in api.services.storage.list("uploads")] == []


async def test_a_file_of_a_result_is_reached_by_a_link_without_a_key(api: Api) -> None:
    await api.services.storage.put("jobs/x/a.png", PNG)
    link = await api.services.links.to("jobs/x/a.png")
    async with api.client() as http:
        answer = await http.get(link)
        assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await http.get(link.replace("a.png", "b.png"))).status_code == 403
        assert (await http.get(link + "0")).status_code == 403


def test_a_link_is_good_for_its_key_and_time_only() -> None:
    now = 1000.0

    class NoLinks:
        async def download_url(self, key: str, ttl: timedelta) -> str | None:
            return None

    links = FileLinks(b"s" * 32, NoLinks(), timedelta(minutes=1), clock=lambda: now)
    query = dict(part.split("=") for part in links.ours("a/b").partition("?")[2].split("&"))
    links.verify("a/b", int(query["expires"]), query["signature"])
    for key, expires in (("a/c", int(query["expires"])), ("a/b", int(query["expires"]) + 1)):
        with pytest.raises(ApiError):
            links.verify(key, expires, query["signature"])
    now = 1061.0
    with pytest.raises(ApiError):
        links.verify("a/b", int(query["expires"]), query["signature"])


@pytest.fixture
async def away(api_settings: Settings) -> AsyncIterator[Api]:
    """The API while no Temporal server answers."""
    source = WebhookSource.model_validate({"scheme": "standard", "secrets": [SECRET]})
    settings = api_settings.model_copy(update={"webhook_sources": {"app": source}})
    nobody = await connect(address="127.0.0.1:9", lazy=True)
    async with serving(settings, JobClient(nobody)) as served:
        yield served


async def test_without_temporal_callers_are_told_to_come_again(away: Api) -> None:
    away.services.rates.per_second = 100
    mail = {
        "kind": "email",
        "input": {"template": "welcome", "to": "a@example.com", "data": {"name": "A"}},
    }
    async with away.as_owner("ada") as http:
        for answer in (
            await http.get("/v1/jobs"),
            await http.get("/v1/jobs/note-1"),
            await http.post("/v1/jobs/note-1/cancel"),
            await http.post("/v1/jobs", json=mail),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        many = await http.post("/v1/jobs/bulk", json={"items": [mail, {"kind": "email"}]})
        assert [item["status"] for item in many.json()["data"]] == [503, 422]
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"temporal": False, "database": True})
        assert (await http.get("/healthz")).status_code == 200


async def test_without_temporal_webhooks_are_still_taken(away: Api) -> None:
    body = json.dumps({"type": "a.b", "timestamp": "2027-01-01T00:00:00Z", "data": {}}).encode()
    now = int(time.time())
    key = standard.decode_key(SECRET, standard.SECRET_PREFIX)
    signature = _signature(key, f"evt-1.{now}.".encode() + body)
    headers = {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{signature}",
        "content-type": "application/json",
    }
    async with away.client() as http:
        first = await http.post("/v1/hooks/app", content=body, headers=headers)
        again = await http.post("/v1/hooks/app", content=body, headers=headers)
        assert (first.status_code, first.json()["duplicate"]) == (202, False)
        assert (again.status_code, again.json()["duplicate"]) == (200, True)
        forged = await http.post("/v1/hooks/app", content=body + b" ", headers=headers)
        assert forged.status_code == 401
        assert "detail" not in forged.json()
        assert (await http.post("/v1/hooks/no", content=body, headers=headers)).status_code == 404


def _signature(key: bytes, signed: bytes) -> str:
    import hashlib
    import hmac

    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def test_unsubscribing_takes_a_click_and_not_a_look(api: Api) -> None:
    token = api.services.mail_tokens.unsubscribe_token("news", "ada@example.com")
    hashed = api.services.mail_tokens.address_hash("ada@example.com")
    async with api.client() as http:
        assert (await http.get(f"/v1/unsubscribe/{token}")).status_code == 200
        assert (await api.services.ledger.look("k", hashed, "news")).suppressed is None
        assert (await http.post(f"/v1/unsubscribe/{token}")).status_code == 200
        assert (await api.services.ledger.look("k", hashed, "news")).suppressed is not None
        assert (await http.post(f"/v1/unsubscribe/{token[:-2]}")).status_code == 404


async def test_tokens_of_the_identity_provider_are_verified(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [{**public, "kid": "1", "alg": "ES256", "use": "sig"}]}))
    verifier = TokenVerifier("https://id", "conveyor", str(jwks), ["ES256"])

    def token(**changed: object) -> str:
        claims = {"iss": "https://id", "aud": "conveyor", "sub": "ada", "exp": time.time() + 60,
                  "scope": "openid jobs:write", **changed}  # fmt: skip
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "1"})

    claims = await verifier.verify(token())
    assert (claims.owner, claims.scopes) == ("ada", frozenset({Scope.WRITE}))
    unsigned = jwt.encode({"sub": "ada"}, "", algorithm="none", headers={"kid": "1"})
    for wrong in (token(iss="x"), token(aud="x"), token(exp=1), token(sub="a b"), unsigned, "a.b"):
        with pytest.raises(TokenRefused):
            await verifier.verify(wrong)


async def test_the_description_and_metrics_are_served(api: Api) -> None:
    async with api.client() as http:
        document = (await http.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        operation = document["paths"]["/v1/jobs"]["post"]
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        assert set(examples) == {kind.name for kind in ALL} - INTERNAL_KINDS
        assert "/v1/jobs" in (await http.get("/docs")).text
        assert "conveyor_http_requests_total" in (await http.get("/metrics")).text

"""The codec for the Temporal Web UI: who may decrypt, from where, and the protocol."""

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.codec import EncryptionCodec
from api.sessions import COOKIE
from jobs.access import Scope
from jobs.client import JobClient, connect
from jobs.encryption import EncryptionKey
from settings import Settings
from tests.api.conftest import Api, serving

UI = "http://127.0.0.1:8233"
KEY = EncryptionKey("2027", bytes(range(32)))
PLAIN = {
    "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
    "data": base64.b64encode(b'"a secret"').decode(),
}
BODY = {"payloads": [PLAIN]}


@pytest.fixture(scope="module")
async def served(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory, shared_server: str
) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("codec")
    shutil.copyfile(migrated, folder / "conveyor.db")
    temporal = await connect(address=shared_server, codec=EncryptionCodec([KEY]))
    async with serving(Settings(data_dir=folder), JobClient(temporal, ui_url=f"{UI}/")) as api:
        yield api


async def encrypted(api: Api) -> dict[str, Any]:
    async with api.as_owner("root", Scope.ADMIN) as root:
        answer = await root.post("/codec/encode", json=BODY)
    made: dict[str, Any] = answer.json()
    return made


@asynccontextmanager
async def session(api: Api, scope: Scope = Scope.ADMIN) -> AsyncIterator[httpx.AsyncClient]:
    """Sign in as a browser does, and yield what a page of the Web UI sends with."""
    async with api.client() as http:
        signed_in = await http.post("/sign-in", data={"key": await api.key("root", scope)})
        assert signed_in.status_code == 303
        http.headers["Origin"] = UI
        yield http


async def test_what_is_encoded_is_decoded_again(served: Api) -> None:
    sealed = await encrypted(served)
    (payload,) = sealed["payloads"]
    assert base64.b64decode(payload["metadata"]["encoding"]) == b"binary/encrypted"
    assert b"secret" not in base64.b64decode(payload["data"])
    async with served.as_owner("root", Scope.ADMIN) as root:
        answer = await root.post("/codec/decode", json=sealed, headers={"X-Namespace": "default"})
    assert answer.json() == BODY


async def test_plain_payloads_come_back_as_they_are(served: Api) -> None:
    async with served.as_owner("root", Scope.ADMIN) as root:
        assert (await root.post("/codec/decode", json=BODY)).json() == BODY


@pytest.mark.parametrize("path", ["/codec/decode", "/codec/encode"])
async def test_only_an_administrator_may(served: Api, path: str) -> None:
    async with served.client() as nobody, served.as_owner("ada", Scope.WRITE) as ada:
        assert (await nobody.post(path, json=BODY)).status_code == 401
        assert (await ada.post(path, json=BODY)).status_code == 403


async def test_an_administrator_who_is_signed_in_decrypts_from_the_web_ui(served: Api) -> None:
    async with session(served) as http:
        answer = await http.post("/codec/decode", json=await encrypted(served))
    assert answer.json() == BODY
    assert answer.headers["Access-Control-Allow-Origin"] == UI
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


async def test_a_session_of_another_scope_or_from_another_page_decrypts_nothing(
    served: Api,
) -> None:
    async with session(served, Scope.WRITE) as http:
        assert (await http.post("/codec/decode", json=BODY)).status_code == 403
    async with session(served) as http:
        elsewhere = {"Origin": "https://evil.example.com"}
        answer = await http.post("/codec/decode", json=BODY, headers=elsewhere)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        del http.headers["Origin"]
        assert (await http.post("/codec/decode", json=BODY)).status_code == 403
    forged = {"Origin": UI, "Cookie": f"{COOKIE}=made-up"}
    async with served.client() as http:
        assert (await http.post("/codec/decode", json=BODY, headers=forged)).status_code == 401


@pytest.mark.parametrize(("origin", "status"), [(UI, 200), ("https://evil.example.com", 400)])
async def test_a_browser_may_ask_from_the_web_ui_alone(
    served: Api, origin: str, status: int
) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    async with served.client() as http:
        codec = await http.options("/codec/decode", headers=asked)
        other = await http.options("/v1/jobs", headers=asked)
    assert codec.status_code == status
    assert ("Access-Control-Allow-Origin" in codec.headers) == (status == 200)
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_a_payload_under_a_key_that_is_missing_is_refused_by_its_id(served: Api) -> None:
    (payload,) = (await encrypted(served))["payloads"]
    payload["metadata"]["encryption-key-id"] = base64.b64encode(b"2020").decode()
    async with served.as_owner("root", Scope.ADMIN) as root:
        answer = await root.post("/codec/decode", json={"payloads": [payload]})
    assert answer.status_code == 503
    assert "'2020'" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"payloads": 1},
        {"payloads": [{"data": "%%%"}]},
        {"payloads": [{"metadata": {"a": "é"}}]},
    ],
)
async def test_what_is_no_payload_is_refused(served: Api, body: dict[str, object]) -> None:
    async with served.as_owner("root", Scope.ADMIN) as root:
        assert (await root.post("/codec/decode", json=body)).status_code == 422

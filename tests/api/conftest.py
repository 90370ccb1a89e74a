"""The API on a port of loopback, over the shared server, a database and storage of the test's."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from temporalio.client import Client

from adapters.database import migrate
from adapters.database.access import ApiKeys
from api.app import create_app
from api.services import Services, open_services
from jobs.access import ApiKey, Scope, Token, token_hash
from jobs.base import JobKind
from jobs.client import JobClient
from settings import Settings
from tests.jobs.conftest import kind, worker

__all__ = ["kind", "worker"]

PATIENCE_S = 120
"""How long a client of a test waits for an answer."""


@dataclass
class Api:
    """A serving API."""

    url: str
    services: Services

    async def key(
        self,
        owner: str,
        *scopes: Scope,
        expires_at: datetime | None = None,
    ) -> str:
        """Make a key; by default one that may write."""
        token = Token.new()
        key = ApiKey(
            id=token.id,
            owner=owner,
            scopes=list(scopes or (Scope.WRITE,)),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        await ApiKeys(self.services.database).add(key, token_hash(token.text))
        return token.text

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """Return an HTTP client that sends that key."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_S)

    @asynccontextmanager
    async def as_owner(self, owner: str, *scopes: Scope) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of an owner's."""
        async with self.client(await self.key(owner, *scopes)) as http:
            yield http


@asynccontextmanager
async def serving(settings: Settings, jobs: JobClient) -> AsyncIterator[Api]:
    """Serve the API while the context is open."""
    async with open_services(settings, jobs) as services:

        @asynccontextmanager
        async def opened() -> AsyncIterator[Services]:
            yield services

        config = uvicorn.Config(
            create_app(settings, opened),
            port=0,
            log_config=None,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=600,  # a pause of the test's closes no connection
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        loop = asyncio.create_task(server.main_loop())
        try:
            yield Api(f"http://127.0.0.1:{port}", services)
        finally:
            server.should_exit = True
            await loop
            await services.hub.close()
            await server.shutdown()


@pytest.fixture(scope="session")
async def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("api") / "conveyor.db"
    await migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def api_settings(migrated: Path, tmp_path: Path) -> Settings:
    """Settings over a data folder of the test's."""
    shutil.copyfile(migrated, tmp_path / "conveyor.db")
    return Settings(data_dir=tmp_path, api_link_ttl=timedelta(minutes=10))


@pytest.fixture
async def api(
    api_settings: Settings, client: Client, kind: JobKind[Any, Any]
) -> AsyncIterator[Api]:
    """The API, for the kinds that there are and ``note``."""
    assert kind.name == "note"
    async with serving(api_settings, JobClient(client)) as served:
        yield served

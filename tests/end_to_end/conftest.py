"""Installations on a real server in a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters import devserver
from tests.end_to_end.installation import Installation


@pytest.fixture(scope="session")
async def shared_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of an embedded server that this ring's tests share."""
    folder = tmp_path_factory.mktemp("server")
    async with await devserver.ensure(folder, port=0) as embedded:
        yield embedded.server.address


@pytest.fixture
def installation(shared_server: str, tmp_path: Path) -> Installation:
    """A data folder of the test's own, on the shared server."""
    return Installation(tmp_path, {"TEMPORAL_ADDRESS": shared_server})


@pytest.fixture
def alone(tmp_path: Path) -> Installation:
    """A data folder of the test's own, with no server but the one it starts."""
    return Installation(tmp_path)

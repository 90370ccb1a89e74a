"""The parts of the stack: servers from packages, workers and API as the compose file has them."""

import asyncio
import os
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import yaml
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from adapters import devserver
from adapters.mail_catcher import catch_mail
from adapters.outbox import Outbox
from cli.local import LocalProcessError, process
from settings import PREFIX
from tests.servers import S3Server, postgresql_server, s3_server
from tests.stack.where import TESTS, Stack

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "default"
KEY_BYTES: Final = 32
REPLICAS: Final = 2
OUTSIDE: Final = (PREFIX, "TEMPORAL_")


def services() -> Mapping[str, Sequence[str]]:
    """Return the commands of the compose file's workers and API, by service."""
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {
        name: service["command"]
        for name, service in composed.items()
        if name == "api" or name.startswith("worker")
    }


def here(command: Sequence[str]) -> list[str]:
    """Return a service's command for one machine, where containers' ports would clash."""
    free = {"--port": "0", "--host": "127.0.0.1"}
    words = list(command)
    for option, value in free.items():
        if option in words:
            words[words.index(option) + 1] = value
    for option in ("--probe-port", "--metrics-port"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    return words


Parts = Mapping[str, asyncio.subprocess.Process]
"""The processes of workers and API, by name."""


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncIterator[tuple[Stack, Parts]]:
    """Run all parts while the context is open; their data and logs lie in ``folder``."""
    outbox = Outbox(folder / "mails")
    async with AsyncExitStack() as parts:
        temporal = await parts.enter_async_context(await devserver.ensure(folder, port=0))
        await make_namespace(temporal.server.address)
        variables = {
            "TEMPORAL_ADDRESS": temporal.server.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            f"{PREFIX}DATA_DIR": str(folder),
            f"{PREFIX}DATABASE_URL": make_database(parts.enter_context(postgresql_server())),
            f"{PREFIX}ENCRYPTION_KEYS": f"stack:{b64encode(os.urandom(KEY_BYTES)).decode()}",
            f"{PREFIX}SMTP_URL": await parts.enter_async_context(catch_mail(outbox)),
            f"{PREFIX}TEMPORAL_UI_URL": temporal.server.ui,
            f"{PREFIX}WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            f"{PREFIX}WEBHOOK_ALLOW_HTTP": "true",
            f"{PREFIX}WEBHOOK_ALLOW_PORTS": "true",
            **storage_of(parts.enter_context(s3_server())),
        }
        environment = {**outside(), **variables}
        for namespace, options in ((TESTS, ()), (NAMESPACE, ("--demo",))):
            there = {**environment, "TEMPORAL_NAMESPACE": namespace}
            if await run(there, "starter.py", "setup", *options):
                msg = "`starter.py setup --demo` failed"
                raise LocalProcessError(msg)
        started: dict[str, asyncio.subprocess.Process] = {}
        for name, command in services().items():
            for number in range(1, REPLICAS + 1 if name != "api" else 2):
                label = f"{name}-{number}"
                log = folder / f"{label}.log"
                part = process(*here(command), log=log, ready="ready", environment=environment)
                started[label] = await parts.enter_async_context(part)
        served = (folder / "api-1.log").read_text().splitlines()
        api = next(line for line in served if line.startswith("serving at "))
        stack = Stack(
            temporal=temporal.server.address,
            ui=temporal.server.ui,
            api=api.removeprefix("serving at "),
            mails=str(outbox.folder),
            workers=[name for name in started if name != "api-1"],
            variables=variables,
        )
        yield stack, started


async def make_namespace(address: str) -> None:
    """Make the namespace of tests."""
    client = await Client.connect(address)
    request = RegisterNamespaceRequest(namespace=TESTS)
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
    await client.workflow_service.register_namespace(request)


def make_database(folder: str) -> str:
    """Make the application database on the server in ``folder``; return its URL."""
    at = f"?host={folder}"
    with psycopg.connect(f"postgresql://postgres@/postgres{at}", autocommit=True) as connection:
        connection.execute("CREATE DATABASE conveyor")
    return f"postgresql://postgres@/conveyor{at}"


def storage_of(s3: S3Server) -> Mapping[str, str]:
    """Return the settings of storage on ``s3``."""
    return {
        f"{PREFIX}STORAGE_URL": f"s3://{s3.bucket}",
        f"{PREFIX}S3_ENDPOINT": s3.endpoint,
        f"{PREFIX}S3_ACCESS_KEY_ID": s3.access_key_id,
        f"{PREFIX}S3_SECRET_ACCESS_KEY": s3.secret_access_key,
    }


def outside() -> dict[str, str]:
    """Return this process's variables without any that point to another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}


async def run(environment: Mapping[str, str], *command: str) -> int:
    """Run a Python command of the project to its end; return its exit code."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        return await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()

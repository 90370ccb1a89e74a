"""What the demo runs on, and what one job of it is."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters import devserver, telemetry
from adapters.database import Database, migrate
from adapters.mail_catcher import catch_mail
from adapters.outbox import Outbox
from adapters.storage import Storage
from cli.demo.data import load_demo_data
from cli.demo.receiver import Receiver, receive_webhooks
from cli.local import process
from jobs.client import JobClient, connect
from jobs.client.webhooks import EndpointDesk
from jobs.status import JobState, JobStatus
from opening import open_endpoint_desk
from settings import PREFIX, Settings


class Unexpected(Exception):
    """A demo job came out otherwise than it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running Conveyor of the demo's own."""

    jobs: JobClient
    storage: Storage
    database: Database
    outbox: Outbox
    results: Path
    ui: str
    desk: EndpointDesk
    receiver: Receiver
    """Takes webhooks on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One job of the demo."""

    title: str
    kind: str
    input: Callable[[Stage], Awaitable[Mapping[str, Any]]]
    expect: Callable[[Stage, JobStatus], Awaitable[str]]
    """Looks at what the job made; returns where it lies, or raises ``Unexpected``."""
    key: str | None = None
    """Of a job that the input's making has started already."""


def require_completed(job: JobStatus) -> Mapping[str, Any]:
    """Return the result of a job that completed; raise ``Unexpected`` for any other."""
    if job.state is not JobState.COMPLETED or job.result is None:
        why = f"{job.error.type}: {job.error.message}" if job.error else str(job.state)
        raise Unexpected(why)
    return job.result


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Start a server, a mail catcher and a worker whose data all lie in ``folder``."""
    settings = Settings(
        data_dir=folder,
        webhook_allowed_networks=["127.0.0.0/8"],
        webhook_allow_http=True,
        webhook_allow_ports=True,
    )
    results = folder / "results"
    results.mkdir()
    outbox = Outbox(settings.outbox)
    async with AsyncExitStack() as stack:
        runtime = telemetry.open_runtime()
        server = await stack.enter_async_context(
            await devserver.ensure(folder, port=0, runtime=runtime)
        )
        smtp_url = await stack.enter_async_context(catch_mail(outbox))
        await migrate(settings.database)
        database = Database.open(settings.database)
        stack.push_async_callback(database.close)
        await load_demo_data(database)
        client = await connect(address=server.server.address, runtime=runtime)
        await stack.enter_async_context(
            process(
                "worker.py",
                log=folder / "worker.log",
                ready="ready",
                environment={
                    **_outside_environment(),
                    f"{PREFIX}DATA_DIR": str(folder),
                    f"{PREFIX}SMTP_URL": smtp_url,
                    f"{PREFIX}WEBHOOK_ALLOWED_NETWORKS": ",".join(
                        settings.webhook_allowed_networks
                    ),
                    "TEMPORAL_ADDRESS": server.server.address,
                },
            )
        )
        yield Stage(
            jobs=JobClient(client, ui_url=server.server.ui),
            storage=Storage.open(settings.storage),
            database=database,
            outbox=outbox,
            results=results,
            ui=server.server.ui,
            desk=open_endpoint_desk(settings, database, client),
            receiver=await stack.enter_async_context(receive_webhooks()),
        )


def _outside_environment() -> dict[str, str]:
    """Return this process's variables without any that would point to another installation."""
    ours = (PREFIX, "TEMPORAL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}

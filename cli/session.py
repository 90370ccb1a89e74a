"""An open connection for one command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from adapters.storage import Storage
    from jobs.client import JobClient
    from settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    jobs: "JobClient"
    settings: "Settings"

    def storage(self) -> "Storage":
        """Open the storage that the settings name."""
        return _storage(self.settings)


def _storage(settings: "Settings") -> "Storage":
    from opening import open_storage

    return open_storage(settings)


@asynccontextmanager
async def session() -> AsyncIterator[Session]:
    """Connect to the server that ``TEMPORAL_*`` names, else the embedded one, else the default.

    Raises:
        ServerUnreachableError: none answers.
        SettingsError: a setting is wrong or misspelt.
    """
    import settings as environment
    from adapters import devserver, telemetry
    from adapters import tracing as traces
    from adapters.codec import open_codec
    from jobs.client import JobClient, connect
    from jobs.client.connection import DEFAULT_ADDRESS, configured_address

    loaded = environment.load()
    telemetry.set_up_logging("text", level=telemetry.QUIET)
    tracing = traces.open_tracing("conveyor-cli")
    embedded = None if configured_address() else devserver.running(loaded.data_dir)
    client = await connect(
        fallback_address=embedded.address if embedded else DEFAULT_ADDRESS,
        runtime=telemetry.open_runtime(),
        codec=open_codec(loaded.encryption),
        interceptors=tracing.interceptors,
    )
    jobs = JobClient(
        client,
        ui_url=loaded.temporal_ui_url or (embedded.ui if embedded else None),
        open_files=partial(_storage, loaded),
    )
    try:
        yield Session(jobs, loaded)
    finally:
        await tracing.close()


def run(command: Callable[[Session], Awaitable[T]]) -> T:
    """Run ``command`` in a session of its own."""

    async def inner() -> T:
        async with session() as opened:
            return await command(opened)

    coroutine: Coroutine[Any, Any, T] = inner()
    return asyncio.run(coroutine)

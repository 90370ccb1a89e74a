"""Which Temporal server a command talks to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.runtime import Runtime

from adapters import devserver
from jobs.client import connection


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """The server that this worker polls."""

    address: str
    ui: str | None = None
    keeper: asyncio.Task[None] | None = None
    """Starts the embedded server anew when it dies; ends when it can't."""

    @property
    def embedded(self) -> bool:
        """Whether this process runs the server."""
        return self.keeper is not None


@asynccontextmanager
async def temporal_server(data_dir: Path, runtime: Runtime) -> AsyncIterator[TemporalServer]:
    """Find the Temporal server, or run the embedded one until this process ends.

    Yields the one that ``TEMPORAL_*`` names; else the embedded one of the data folder, where a
    process already runs it; else whatever listens on the default address; else a new embedded one.
    """
    if (address := connection.configured_address()) is not None:
        yield TemporalServer(address)
    elif (running := devserver.running(data_dir)) is not None:
        yield TemporalServer(running.address, running.ui)
    elif devserver.listening(connection.DEFAULT_ADDRESS):
        yield TemporalServer(connection.DEFAULT_ADDRESS)
    else:
        async with await devserver.ensure(data_dir, runtime=runtime) as embedded:
            keeper = asyncio.create_task(embedded.keep_alive())
            try:
                yield TemporalServer(embedded.server.address, embedded.server.ui, keeper)
            finally:
                keeper.cancel()

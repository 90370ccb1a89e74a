"""Serve the API: ``python -m api``."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Final

import typer
import uvicorn
from typing_extensions import override

import settings as environment
from adapters import devserver, telemetry
from adapters.codec import open_codec
from adapters.tracing import open_tracing
from api.app import create_app
from api.services import Services, open_services
from exits import run_to_exit
from jobs.client import JobClient, connect
from jobs.client.connection import DEFAULT_ADDRESS, configured_address
from jobs.errors import InvalidInputError, Problem
from opening import open_storage, secret_key
from settings import Settings

STREAMS_END_S: Final = 3
"""How long a stopping server waits for open streams."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    """Open everything that the API works with; Temporal may be away."""
    embedded = None if configured_address() else devserver.running(settings.data_dir)
    tracing = open_tracing("conveyor-api")
    temporal = await connect(
        fallback_address=embedded.address if embedded else DEFAULT_ADDRESS,
        runtime=telemetry.open_runtime(),
        lazy=True,
        codec=open_codec(settings.encryption),
        interceptors=tracing.interceptors,
    )
    ui = settings.temporal_ui_url or (embedded.ui if embedded else None)
    try:
        jobs = JobClient(temporal, ui_url=ui, open_files=lambda: open_storage(settings))
        async with open_services(settings, jobs) as services:
            yield services
    finally:
        await tracing.close()


class Server(uvicorn.Server):
    """Says on which port it serves, which matters when it was asked for any."""

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        for server in self.servers if self.started else ():
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                typer.echo(f"serving at http://{host}:{port}", err=True)
        if self.started:
            typer.echo("ready", err=True)


@app.command()
def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; 0 takes any that is free.", min=0, max=65_535)
    ] = 8000,
    log_format: Annotated[str, typer.Option(help="auto, text or json.")] = "auto",
) -> None:
    """Serve jobs over HTTP, and the page for people at /."""
    settings = environment.load()
    logs = telemetry.log_format(log_format)
    telemetry.set_up_logging(logs, secret=secret_key(settings))
    asyncio.run(serve(settings, host, port))


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal.

    Opens before the server would, which shows what goes wrong as an error of its own.

    Raises:
        InvalidInputError: nothing can listen there.
        SettingsError: a setting can't be used.
    """
    listening = listen(host, port)
    stack = AsyncExitStack()
    services = await stack.enter_async_context(opened(settings))

    @asynccontextmanager
    async def while_serving() -> AsyncIterator[Services]:
        async with stack:
            yield services

    config = uvicorn.Config(
        create_app(settings, while_serving),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STREAMS_END_S,
        proxy_headers=False,
    )
    await Server(config).serve([listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        InvalidInputError: the port is taken or forbidden, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InvalidInputError([_problem(error.errno, host, port)]) from None


def _problem(number: int | None, host: str, port: int) -> Problem:
    match number:
        case errno.EADDRINUSE:
            return Problem(
                "port", f"{port} is taken: choose another by --port, or end what listens there"
            )
        case errno.EACCES:
            return Problem("port", f"{port} is not this user's to take: choose one from 1024 on")
        case _:
            return Problem("host", f"{host} is no address of this machine: give one by --host")


if __name__ == "__main__":
    run_to_exit(app)

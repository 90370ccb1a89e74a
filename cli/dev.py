"""``starter.py dev``: everything in one terminal."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cli import output

LOOPBACK: Final = "127.0.0.1"


def dev() -> None:
    """Run server, Web UI, mail catcher, worker and API here, until Ctrl-C."""
    asyncio.run(_run())


async def _run() -> None:
    import settings as environment
    from adapters import devserver, telemetry
    from adapters.mail_catcher import catch_mail
    from adapters.outbox import Outbox
    from cli.local import process

    settings = environment.load()
    telemetry.set_up_logging("text", level=telemetry.QUIET)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    outbox = Outbox(settings.outbox)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            await devserver.ensure(settings.data_dir, runtime=telemetry.open_runtime())
        )
        keeper = asyncio.create_task(server.keep_alive())
        stack.callback(keeper.cancel)
        catcher = catch_mail(outbox, on_mail=lambda name: _say_mail(outbox, name))
        smtp_url = await stack.enter_async_context(catcher)
        log, api_log = settings.data_dir / "worker.log", settings.data_dir / "api.log"
        environ = {
            **os.environ,
            "TEMPORAL_ADDRESS": server.server.address,
            "CONVEYOR_SMTP_URL": smtp_url,
            "CONVEYOR_TEMPORAL_UI_URL": settings.temporal_ui_url or server.server.ui,
        }
        worker = await stack.enter_async_context(
            process("worker.py", log=log, ready="ready", environment=environ)
        )
        port = urlsplit(settings.public_url).port or 0
        if not _is_free(port):
            output.say(_moved(settings.public_url, port))
            port = 0
        serve = ("-m", "api", "--port", str(port))
        api = await stack.enter_async_context(
            process(*serve, log=api_log, ready="ready", environment=environ)
        )
        page = _served_at(api_log)
        output.say(_links(server.server.address, server.server.ui, page, settings.outbox, log))
        waits = {
            asyncio.create_task(stop.wait()),
            asyncio.create_task(worker.wait()),
            asyncio.create_task(api.wait()),
        }
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        output.say("stopping")


def _is_free(port: int) -> bool:
    """Return whether the API can listen at ``port``."""
    import socket

    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def _moved(public_url: str, port: int) -> str:
    return (
        f"note: port {port} is taken, so the API takes another one; links in mails still say "
        f"{public_url}: set CONVEYOR_PUBLIC_URL to http://{LOOPBACK} with a port that is free"
    )


def _served_at(log: Path) -> str:
    """Return the address that the API says it serves at."""
    said = "serving at "
    lines = log.read_text().splitlines()
    return next((line.removeprefix(said) for line in lines if line.startswith(said)), "")


def _links(address: str, ui: str, page: str, outbox: Path, log: Path) -> str:
    return "\n".join(
        (
            "Conveyor is up; Ctrl-C stops it.",
            f"  Web UI    {ui}",
            f"  page      {page}  (sign in with a key: python starter.py keys create --owner ada)",
            f"  API       {page}/docs",
            f"  server    {address}",
            f"  mails     {outbox}/  (caught over SMTP; starter.py outbox list)",
            f"  worker    {log}",
            "Try, in another terminal:",
            "  python starter.py submit email template=welcome to=ada@example.com data.name=Ada"
            " --watch",
        )
    )


def _say_mail(outbox: "object", name: str) -> None:
    from adapters.outbox import Outbox

    if isinstance(outbox, Outbox):
        mail = outbox.read(name)
        output.say(f"mail for {mail['To']}: {mail['Subject']}  ({name}.eml)")

"""``starter.py dev``: everything in one terminal."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from cli import output


def dev() -> None:
    """Run server, Web UI, mail catcher and worker here, until Ctrl-C."""
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
        log = settings.data_dir / "worker.log"
        worker = await stack.enter_async_context(
            process(
                "worker.py",
                log=log,
                ready="ready",
                environment={
                    **os.environ,
                    "TEMPORAL_ADDRESS": server.server.address,
                    "CONVEYOR_SMTP_URL": smtp_url,
                },
            )
        )
        output.say(_links(server.server.address, server.server.ui, settings.outbox, log))
        waits = {asyncio.create_task(stop.wait()), asyncio.create_task(worker.wait())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        output.say("stopping")


def _links(address: str, ui: str, outbox: Path, log: Path) -> str:
    return "\n".join(
        (
            "Conveyor is up; Ctrl-C stops it.",
            f"  Web UI    {ui}",
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

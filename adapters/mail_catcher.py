"""An SMTP server on loopback that keeps every mail as a file; for the demo and for development."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.outbox import Outbox

HOST: Final = "127.0.0.1"
MAX_BYTES: Final = 32 * 1024 * 1024


class Catcher:
    """Keeps what it is handed in an outbox."""

    def __init__(self, outbox: Outbox, on_mail: Callable[[str], None]) -> None:
        self._outbox = outbox
        self._on_mail = on_mail

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name for it)
        """Keep one message."""
        del server, session
        content = envelope.content or b""
        data = content if isinstance(content, bytes) else content.encode()
        name = await asyncio.to_thread(self._outbox.write, data)
        self._on_mail(name)
        return f"250 2.0.0 kept as {name}.eml"


@asynccontextmanager
async def catch_mail(
    outbox: Outbox, *, on_mail: Callable[[str], None] = lambda _: None
) -> AsyncIterator[str]:
    """Run the server while the context is open, and yield its address as an ``smtp://`` URL."""
    loop = asyncio.get_running_loop()
    catcher = Catcher(outbox, on_mail)
    server = await loop.create_server(
        lambda: SMTP(catcher, loop=loop, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True), HOST, 0
    )
    try:
        yield f"smtp://{HOST}:{server.sockets[0].getsockname()[1]}?tls=none"
    finally:
        server.close()
        await server.wait_closed()

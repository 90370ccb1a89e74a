"""A network that can be cut, slowed, or swallow everything: a TCP proxy in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

PIECE_BYTES: Final = 65_536


@dataclass(slots=True)
class Link:
    """A way to ``127.0.0.1:target``; starts sound."""

    target: int
    port: int = 0
    delay_s: float = 0
    """Added to each piece of data, in both directions."""
    near: set[int] = field(default_factory=set)
    """Ports from which the other side sees this link's connections come."""
    _sound: asyncio.Event = field(default_factory=asyncio.Event)
    _is_cut: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._sound.set()

    def swallow(self) -> None:
        """Become a black hole: connections stay, no byte gets through until ``mend``."""
        self._sound.clear()

    def cut(self) -> None:
        """Break every connection and refuse new ones until ``mend``."""
        self._is_cut = True
        for end in list(self._ends):
            end.transport.abort()

    def mend(self) -> None:
        """Be sound again; what a black hole held back arrives now."""
        self._is_cut, self.delay_s = False, 0
        self._sound.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        near = far_writer.get_extra_info("sockname")[1]
        self.near.add(near)
        ends = {writer, far_writer}
        self._ends |= ends
        ways = [
            asyncio.create_task(self._carry(reader, far_writer)),
            asyncio.create_task(self._carry(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._ends -= ends
            self.near.discard(near)
            for end in ends:
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._sound.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def link_to(target: int) -> AsyncIterator[Link]:
    """Run a link on a free port until the body ends."""
    link = Link(target)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.close()
        link.mend()
        link.cut()

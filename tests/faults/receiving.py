"""A receiver of webhooks that verifies each request, counts, and spoils some."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import standardwebhooks

MISBEHAVED: Final = 0.3
"""Share of requests that a receiver spoils."""
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
UNAUTHORIZED: Final = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
HANG_S: Final = 6


@dataclass
class Receiver:
    """A bare HTTP server that spoils some requests: each in one of the ways of ``faults``."""

    faults: Sequence[str]
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 (repeatable)
    port: int = 0
    key: str = ""
    accepted: Counter[str] = field(default_factory=Counter)
    """Requests that took effect here, by ``webhook-id``."""
    refused: int = 0
    """Requests whose signature or time-stamp was wrong."""
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    connections: set[asyncio.WriteTransport] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends or is spoilt."""
        self.connections.add(writer.transport)
        try:
            while True:
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.discard(writer.transport)
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Verify one request and answer it, or not."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines if line]
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        try:
            standardwebhooks.Webhook(self.key).verify(body, headers)
        except standardwebhooks.WebhookVerificationError:
            self.refused += 1
            writer.write(UNAUTHORIZED)
            return
        self.bodies[headers["webhook-id"]].add(body)
        if self.faults and self.chance.random() < MISBEHAVED:
            await self.misbehave(headers["webhook-id"], writer)
            return
        self.accepted[headers["webhook-id"]] += 1
        writer.write(NO_CONTENT)

    async def misbehave(self, event_id: str, writer: asyncio.StreamWriter) -> None:
        """Spoil a request."""
        match self.chance.choice(self.faults):
            case "500":
                writer.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
                return
            case "hang":
                await asyncio.sleep(HANG_S)
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
                for _ in range(60):
                    writer.write(b".")
                    await asyncio.sleep(0.1)
            case "reset":
                writer.transport.abort()
            case "lie":
                self.accepted[event_id] += 1
            case _:
                pass
        raise ConnectionError


@asynccontextmanager
async def receiving(*faults: str, chance: random.Random | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port until the body ends."""
    receiver = Receiver(faults, chance or random.Random(7))  # noqa: S311 (repeatable)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for connection in list(receiver.connections):
            connection.abort()
        await asyncio.sleep(0.1)  # their handlers end

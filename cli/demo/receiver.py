"""A webhook receiver on this machine, as someone else would write it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """Answers the first request with 503, verifies the next and keeps what it accepted."""

    url: str = ""
    key: str = ""
    """What it verifies with; set when the endpoint is registered."""
    refused: int = 0
    accepted: list[Any] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Take one request."""
        body = await request.read()
        if not self.refused:
            self.refused += 1
            return web.Response(status=503)
        verify, _ = verifier()
        verify(self.key, body, request.headers)
        self.accepted.append(json.loads(body))
        return web.Response(status=204)


def verifier() -> tuple[Callable[[str, bytes, Mapping[str, str]], None], str]:
    """Return how to verify a request, and whose code does it: the public package's if it is there.

    The public package belongs to the test dependencies; without it our own rule stands in.
    """
    try:
        import standardwebhooks
    except ImportError:
        return _verify, "conveyor"

    def verify(key: str, body: bytes, headers: Mapping[str, str]) -> None:
        standardwebhooks.Webhook(key).verify(body, dict(headers))

    return verify, "standardwebhooks"


def _verify(key: str, body: bytes, headers: Mapping[str, str]) -> None:
    import time

    from jobs.signatures.schemes import Headers, verify_standard

    verify_standard(Headers(headers), body, [key], now=time.time(), tolerance_s=300)


@asynccontextmanager
async def receive_webhooks() -> AsyncIterator[Receiver]:
    """Run a receiver while the context is open."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()

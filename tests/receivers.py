"""Receivers on loopback for what a worker sends of itself: an error tracker."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class ErrorTracker:
    """Takes envelopes as Sentry does, and remembers what was in them."""

    dsn: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp has unpacked it
        self.raw += body
        lines = [json.loads(line) for line in body.splitlines() if line]
        items = lines[1:]
        self.events += [
            item
            for header, item in zip(items[::2], items[1::2], strict=True)
            if header["type"] == "event"
        ]
        return web.json_response({"id": lines[0].get("event_id")})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ErrorTracker"]:
        app = web.Application()
        app.router.add_post("/api/1/envelope/", self.take)
        async with served(app) as port:
            self.dsn = f"http://public@127.0.0.1:{port}/1"
            yield self


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[int]:
    """Serve ``app`` on a free port of the loopback interface."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()

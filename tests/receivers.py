"""Receivers on loopback for what a worker sends of itself: an error tracker, a collector."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass
class ErrorTracker:
    """Takes envelopes as Sentry does, and remembers what was in them."""

    dsn: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp has unpacked it
        if not body:
            return web.json_response({"detail": "empty envelope"}, status=400)
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


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it arrived."""

    name: str
    service: str
    trace: bytes
    id: bytes
    parent: bytes
    start: int
    attributes: Mapping[str, object]


@dataclass
class Collector:
    """Takes traces over OTLP/HTTP, and shows them as trees."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = _values(group.resource.attributes)
            self.spans += [
                Span(
                    name=span.name,
                    service=str(named["service.name"]),
                    trace=span.trace_id,
                    id=span.span_id,
                    parent=span.parent_span_id,
                    start=span.start_time_unix_nano,
                    attributes=_values(span.attributes),
                )
                for scope in group.scope_spans
                for span in scope.spans
            ]
        return web.Response(content_type="application/x-protobuf")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Collector"]:
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        async with served(app) as port:
            self.endpoint = f"http://127.0.0.1:{port}"
            yield self

    def tree(self, root: str) -> str:
        """Return the trace that begins with the span ``root``, each span under its parent."""
        (first,) = [span for span in self.spans if span.name == root and not span.parent]
        return "\n".join(self._lines(first, 0))

    def _lines(self, span: Span, depth: int) -> list[str]:
        children = sorted(
            (other for other in self.spans if other.parent == span.id), key=lambda s: s.start
        )
        line = f"{'  ' * depth}{span.name} ({span.service})"
        return [line, *(line for child in children for line in self._lines(child, depth + 1))]


def _values(attributes: Iterable[KeyValue]) -> dict[str, object]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "") for pair in attributes
    }

"""What Prometheus reads of the API: requests by route and status, streams, watched jobs."""

import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

from api.watching import Hub

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "conveyor_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "conveyor_http_request_seconds",
            "Time until the answer began",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.streams = Gauge("conveyor_http_streams", "Open event streams", registry=self.registry)
        self.watched = Gauge("conveyor_http_watched_jobs", "Watched jobs", registry=self.registry)

    def of_hub(self, hub: Hub) -> None:
        """Read the streams and watched jobs from ``hub`` whenever they are asked for."""
        self.streams.set_function(lambda: hub.readers)
        self.watched.set_function(lambda: hub.watched)


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts requests by the template of their route, so that no id becomes a label."""

    app: ASGIApp
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def counting(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                self.metrics.requests.labels(method, route, str(message["status"])).inc()
                self.metrics.seconds.labels(method, route).observe(time.perf_counter() - begun)
            await send(message)

        await self.app(scope, receive, counting)

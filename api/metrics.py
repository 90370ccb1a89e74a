"""What Prometheus reads of the API: requests, streams, watched jobs; and how the queues stand."""

import asyncio
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client
from temporalio.service import RPCError

from api.watching import Hub
from jobs import metrics
from jobs.base import Queue
from jobs.client.measuring import Reading, read_open_jobs, read_queues
from jobs.errors import ConveyorError

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)

FRESH_S: Final = 5.0
"""How long what was read of the queues is shown again, however often it is asked for."""
READ_TIMEOUT_S: Final = 5.0


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

        self.queues = QueueMetrics(self.registry)

    def of_hub(self, hub: Hub) -> None:
        """Read the streams and watched jobs from ``hub`` whenever they are asked for."""
        self.streams.set_function(lambda: hub.readers)
        self.watched.set_function(lambda: hub.watched)


class QueueMetrics:
    """How every queue stands and how many jobs are open, read when Prometheus asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            metric: Gauge(metric.name, metric.help, metric.labels, registry=registry)
            for metric in metrics.OF_QUEUES
        }
        self._one_at_a_time = asyncio.Lock()
        self._read_at = -FRESH_S

    async def refresh(self, temporal: Client) -> None:
        """Read them anew, unless that was done a moment ago; a server that is away is a fact."""
        async with self._one_at_a_time:
            if time.monotonic() - self._read_at < FRESH_S:
                return
            readings: list[Reading] = []
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    readings += await read_queues(temporal, list(Queue))
                    readings += await read_open_jobs(temporal)
            except (ConveyorError, RPCError, TimeoutError):
                readings = []
            self._show(readings)
            self._read_at = time.monotonic()

    def _show(self, readings: Sequence[Reading]) -> None:
        for metric, gauge in self._gauges.items():
            if metric.labels:
                gauge.clear()
        for reading in readings:
            self._gauges[reading.metric].labels(**reading.labels).set(reading.value)
        self._gauges[metrics.SERVER_UP].set(1 if readings else 0)


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

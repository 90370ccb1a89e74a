"""The gauges of a worker's queues, read from the server again and again."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from jobs import metrics
from jobs.client.measuring import read_queues
from jobs.errors import ConveyorError

INTERVAL_S: Final = 15.0


async def measure_queues(client: Client, meter: MetricMeter, queues: Collection[str]) -> None:
    """Keep the gauges of ``queues`` up to date, until cancelled."""
    show = _shower(meter)
    while True:
        try:
            for reading in await read_queues(client, queues):
                show(reading.metric, reading.value, dict(reading.labels))
            show(metrics.SERVER_UP, 1, {})
        except (ConveyorError, RPCError):
            show(metrics.SERVER_UP, 0, {})
        await asyncio.sleep(INTERVAL_S)


def _shower(meter: MetricMeter) -> Callable[[metrics.Metric, float, dict[str, str]], None]:
    gauges = {
        metric: meter.create_gauge_float(metric.name, metric.help, metric.unit)
        for metric in metrics.OF_QUEUES
    }

    def show(metric: metrics.Metric, value: float, labels: dict[str, str]) -> None:
        gauges[metric].set(value, {**labels})

    return show

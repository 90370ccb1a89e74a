"""A worker's metrics besides those of its jobs: gauges of its queues, and counters from zero."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from jobs import kinds, metrics
from jobs.client.measuring import read_queues
from jobs.errors import ConveyorError

INTERVAL_S: Final = 15.0


def begin_at_zero(meter: MetricMeter, namespace: str, queues: Collection[str]) -> None:
    """Show the counters of every kind before its first job.

    Prometheus sees no increase in a counter that appears with its first count.
    """
    finished = meter.create_counter(metrics.JOBS_FINISHED.name, metrics.JOBS_FINISHED.help)
    attempts = meter.create_counter(metrics.STEP_ATTEMPTS.name, metrics.STEP_ATTEMPTS.help)
    for kind in (kind for kind in kinds.ALL if kind.queue in queues):
        # The labels that the SDK gives to what a workflow counts.
        labels = {
            "kind": kind.name,
            "namespace": namespace,
            "task_queue": kind.queue.value,
            "workflow_type": kind.workflow,
        }
        for outcome in metrics.Outcome:
            finished.add(0, {**labels, "outcome": outcome.value})
            for step in kind.steps:
                attempts.add(0, {"kind": kind.name, "step": step, "outcome": outcome.value})


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

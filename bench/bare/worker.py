"""Serves the bare workflow with the options of ``worker.py``: ``python -m bench.bare.worker``."""

import asyncio
import signal

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import worker as ours
from bench.bare.steps import nothing
from bench.bare.workflow import BareWorkflow
from jobs.base import Queue

QUEUE = "bare"


async def main() -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(
        **ClientConfig.load_client_connect_config(), data_converter=pydantic_data_converter
    )
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareWorkflow],
        activities=[nothing],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("bench.bare.steps")
        ),
        max_concurrent_activities=ours.DEFAULT_SLOTS[Queue.EMAILS],
        max_heartbeat_throttle_interval=ours.HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=ours.HEARTBEAT_INTERVAL,
        sticky_queue_schedule_to_start_timeout=ours.STICKY_TIMEOUT,
    ):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

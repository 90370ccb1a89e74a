"""Running workers until told to stop, against a real server."""

import asyncio
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from cli import serving
from jobs.errors import InvalidInputError

LOOPBACK = "127.0.0.1"


@activity.defn
async def idle() -> None:
    """Something to poll for."""


def workers(client: Client, unique: str) -> list[Worker]:
    """Two workers on queues of their own."""
    return [Worker(client, task_queue=f"{unique}-{n}", activities=[idle]) for n in range(2)]


async def serve(made: list[Worker], stop: asyncio.Event, said: list[str]) -> None:
    async with asyncio.timeout(180):
        await serving.serve(
            made, stop=stop, grace=timedelta(seconds=1), running=list, say=said.append
        )


async def test_a_stop_that_comes_while_workers_begin_is_not_lost(
    client: Client, unique: str
) -> None:
    stop = asyncio.Event()
    stop.set()
    said: list[str] = []
    await serve(workers(client, unique), stop, said)
    assert said == ["stopping: nothing runs"]


async def test_a_probe_port_that_is_taken_is_named_with_the_fix(client: Client) -> None:
    first = await serving.serve_probes(client, [], LOOPBACK, 0)
    port = first.addresses[0][1]
    with pytest.raises(InvalidInputError, match=f"probe-port: {port} is taken"):
        await serving.serve_probes(client, [], LOOPBACK, port)
    await first.cleanup()


async def test_a_probe_address_of_another_machine_is_named_with_the_setting(
    client: Client,
) -> None:
    elsewhere = "192.0.2.1"  # of no machine: for documentation
    with pytest.raises(InvalidInputError, match=f"{elsewhere} is no address of this machine"):
        await serving.serve_probes(client, [], elsewhere, 0)


async def test_a_worker_that_can_not_begin_ends_the_others_and_is_reported(
    client: Client, unique: str
) -> None:
    address = client.service_client.config.target_host
    elsewhere = await Client.connect(address, namespace="no-such-namespace")
    made = [*workers(client, unique), *workers(elsewhere, unique)]
    with pytest.raises(RuntimeError, match="no-such-namespace"):
        await serve(made, asyncio.Event(), [])
    assert all(worker.is_shutdown for worker in made)

"""What looking at a job costs: calls to the server, and the start of the command line."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from temporalio.client import Client

from bench.harness import ROOT, Lab, Plan, Row, lab
from jobs.client import JobClient, connect

NAME = "status"
TITLE = "What looking at a job costs"

MAIL = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}


class Counter:
    """Counts the calls that a client makes."""

    def __init__(self, client: Client) -> None:
        self.calls: list[str] = []
        service = client.service_client
        self._call = service._rpc_call
        service._rpc_call = self._counted  # type: ignore[method-assign]  # every call passes there

    async def _counted(self, rpc: str, *arguments: Any, **options: Any) -> Any:
        self.calls.append(rpc)
        return await self._call(rpc, *arguments, **options)

    def take(self) -> list[str]:
        """Return the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


async def run(plan: Plan) -> Sequence[Row]:
    """Count, and start the command line so many times."""
    async with lab() as place:
        client = await connect(address=place.server.address)
        jobs, counter = JobClient(client), Counter(client)
        counter.take()
        job = await jobs.submit("email", MAIL)
        submitted = counter.take()
        await jobs.status(job.id)
        waiting = counter.take()
        with place.process(str(ROOT / "worker.py"), "--queue", "emails", ready="ready"):
            await jobs.wait(job.id)
        counter.take()
        await jobs.status(job.id)
        closed = counter.take()
        helps = [seconds_of_help(place) for _ in range(plan.rounds + 1)][1:]
    return [
        Row(
            name="status of an open job", value=len(waiting), limit=1, unit="RPC", raw={"": waiting}
        ),
        Row(
            name="status of a closed job", value=len(closed), limit=2, unit="RPC", raw={"": closed}
        ),
        Row(name="submission", value=len(submitted), limit=1, unit="RPC", raw={"": submitted}),
        Row(
            name="starter.py --help",
            value=statistics.median(helps),
            limit=0.4,
            unit="s",
            raw={"seconds": helps},
        ),
    ]


def seconds_of_help(place: Lab) -> float:
    """Return how long ``starter.py --help`` takes."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, str(ROOT / "starter.py"), "--help"],
        cwd=place.folder,
        env=place.environment(),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began

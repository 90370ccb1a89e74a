"""What a job of each kind costs the Temporal server, over a bare workflow of as many steps.

The work of a kind is the worker's; what Conveyor adds to a workflow - its inputs, progress, index,
hold and retry - shows in the server, so its CPU is what is compared. The two take turns on one
server. An import stands in line for its table, too, for which another workflow keeps the places.
Mailing, batch, event and delivery have areas of their own.
"""

import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.bare.steps import Ping
from bench.bare.worker import QUEUE
from bench.bare.workflow import BareWorkflow
from bench.harness import ROOT, Lab, Plan, Row, cpu_s, gather_at_most, lab, mail_relay
from jobs.client import JobClient, connect
from jobs.status import JobState

NAME = "kinds"
TITLE = "CPU of the server for a job of each kind, over a bare workflow of as many steps"

JOBS: Final = 20
QUICK_JOBS: Final = 6
AT_ONCE: Final = 4
TO: Final = "ada@example.com"
PHOTO: Final = "examples/photo.jpg"
CUSTOMERS: Final = "examples/customers.csv"

Job = Callable[[], Awaitable[None]]


def inputs() -> Mapping[str, Mapping[str, Any]]:
    """Return an ordinary input for each kind."""
    return {
        "email": {"template": "welcome", "to": TO, "data": {"name": "Ada"}},
        "reminder": {"to": TO, "message": "Now.", "send_at": datetime.now(UTC).isoformat()},
        "image": {"source": PHOTO, "operations": [{"type": "resize", "width": 320}]},
        "report": {
            "type": "sales",
            "period": "last_month",
            "time_zone": "Europe/Berlin",
            "formats": ["csv"],
        },
        "import": {"source": CUSTOMERS, "target": "customers"},
        "export": {"query": "customers"},
    }


async def run(plan: Plan) -> Sequence[Row]:
    """Run jobs of each kind and bare workflows in turns."""
    async with lab() as place:
        set_up(place)
        with (
            mail_relay(place) as relay,
            place.process("-m", "bench.bare.worker", ready="ready"),
            place.process(str(ROOT / "worker.py"), ready="ready", CONVEYOR_SMTP_URL=relay),
        ):
            found = []
            for kind, data in inputs().items():
                found.append(await compare(place, kind, data, plan))
    return found


def set_up(place: Lab) -> None:
    """Make the tables, and load the demo's data and examples."""
    subprocess.run(
        [sys.executable, str(ROOT / "starter.py"), "setup", "--demo"],
        cwd=place.folder,
        env=place.environment(),
        check=True,
        capture_output=True,
    )


async def compare(place: Lab, kind: str, data: Mapping[str, Any], plan: Plan) -> Row:
    """Return the row of one kind."""
    client = await connect(address=place.server.address)
    jobs = JobClient(client)

    async def one() -> str:
        submitted = await jobs.submit(kind, data)
        done = await jobs.wait(submitted.id)
        if done.state is not JobState.COMPLETED:
            msg = f"a job did not complete: {done}"
            raise RuntimeError(msg)
        return submitted.id

    history = await client.get_workflow_handle(await one()).fetch_history()
    scheduled = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    steps = sum(event.event_type == scheduled for event in history.events)
    bare = await bare_job(place, steps)
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(plan.rounds + 1):  # the first round warms up
        for spent, job in ((ours, one), (theirs, bare)):
            before = cpu_s(place.server.pid)
            count = plan.of(JOBS, QUICK_JOBS)
            await gather_at_most(count, AT_ONCE, job)
            if number:
                spent.append((cpu_s(place.server.pid) - before) * 1000 / count)
    mine, bares = statistics.median(ours), statistics.median(theirs)
    return Row(
        name=f"{kind}, {steps} {'step' if steps == 1 else 'steps'}, {len(history.events)} events",
        value=mine / bares,
        detail=f"{mine:.1f} ms, bare {bares:.1f} ms",
        raw={"job": ours, "bare": theirs},
    )


async def bare_job(place: Lab, steps: int) -> Job:
    """Return what runs a bare workflow of so many steps."""
    client = await Client.connect(place.server.address, data_converter=pydantic_data_converter)

    async def job() -> None:
        ping = Ping(text="Ada", steps=steps)
        await client.execute_workflow(
            BareWorkflow.run, ping, id=f"bare-{uuid4()}", task_queue=QUEUE
        )

    return job

"""Two builds of workers beside each other, jobs in flight: ``worker.py --versioned``."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.common import VersioningBehavior

from adapters import devserver
from cli.serving import DEPLOYMENT, LONGEST_STAY, Options, deployment
from exits import NOT_FOUND
from jobs import kinds
from jobs.base import Queue
from tests.conftest import temporal_binary
from tests.end_to_end.installation import PATIENCE_S, Installation
from tests.end_to_end.test_webhooks import OPEN, receiving

pytestmark = pytest.mark.slow

WELCOME: Final = ("template=welcome", "to=ada@example.com", "data.name=Ada")
REPORT: Final = ("report", "type=users", "start=2026-10-01", "end=2026-10-02", 'formats:=["json"]')


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation on a server of its own: a current version would keep others' workers idle."""
    async with await devserver.ensure(tmp_path / "data", port=0) as embedded:
        yield Installation(tmp_path, {"TEMPORAL_ADDRESS": embedded.server.address, **OPEN})


def temporal(installation: Installation, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the ``temporal`` program against the installation's server."""
    address = installation.variables["TEMPORAL_ADDRESS"]
    return subprocess.run(
        [temporal_binary(), *command, "--address", address],
        capture_output=True,
        text=True,
        check=False,
    )


def roll_out(installation: Installation, command: str, build_id: str, *options: str) -> None:
    """Change the version that new jobs get, once the server knows of all the build's queues."""
    version = ("--deployment-name", DEPLOYMENT, "--build-id", build_id)
    deadline = time.monotonic() + PATIENCE_S
    while (
        done := temporal(installation, "worker", "deployment", command, *version, *options, "--yes")
    ).returncode:
        assert time.monotonic() < deadline, done.stderr
    asyncio.run(until_told(installation))


async def until_told(installation: Installation) -> None:
    """Return when every queue knows of the change: the command returns before."""
    client = await installation.connect()
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.workflow_service.describe_worker_deployment(asked)
            state = answer.worker_deployment_info.routing_config_update_state
            if state != RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS:
                return
            await asyncio.sleep(0.1)


def build_of(installation: Installation, job_id: str) -> str:
    """Return the build that last decided for a job."""
    shown = temporal(
        installation, "workflow", "describe", "--workflow-id", job_id, "--output", "json"
    )
    info: Any = json.loads(shown.stdout)["workflowExecutionInfo"]["versioningInfo"]
    return str(info["deploymentVersion"]["buildId"])


def signal(installation: Installation, job_id: str, name: str, *given: str) -> None:
    """Send a signal to a job."""
    options = [word for each in given for word in ("--input", json.dumps(each))]
    sent = temporal(
        installation, "workflow", "signal", "--workflow-id", job_id, "--name", name, *options
    )
    assert sent.returncode == 0, sent.stderr


def delivery_to(installation: Installation, url: str) -> str:
    """Publish an event to an endpoint that is patient; return the delivery's job."""
    document = json.dumps({"schedule": ["PT0S", "PT12H"]})
    added = installation.run(
        "endpoints", "add", "--url", url, "--input", "-", "--json", stdin=document
    )
    endpoint = added.json()["id"]
    event = installation.run("endpoints", "test", endpoint).out.strip()
    delivery = f"delivery-{event}:{endpoint}"
    deadline = time.monotonic() + PATIENCE_S
    while installation.run("status", delivery).code == NOT_FOUND:  # the event's job begins it
        assert time.monotonic() < deadline, event
    return delivery


def test_jobs_in_flight_stay_on_their_build_or_move_to_the_new_one_as_their_queue_says(
    own_server: Installation,
) -> None:
    report = own_server.submit(*REPORT)
    signal(own_server, report, "hold", "look at it first")
    with receiving(500, 204) as receiver:
        with own_server.worker("--versioned", "--build-id", "a"):
            roll_out(own_server, "set-current-version", "a")
            own_server.until(report, "held")
            delivery = delivery_to(own_server, receiver.url)
            own_server.until(delivery, "retrying")
            with own_server.worker("--versioned", "--build-id", "b"):
                roll_out(own_server, "set-current-version", "b")
                mail = own_server.submit("email", *WELCOME)
                own_server.until(mail, "completed")
                signal(own_server, report, "release")
                own_server.until(report, "completed")
        with own_server.worker("--versioned", "--build-id", "b"):
            forced = temporal(
                own_server, "workflow", "update", "execute", "--workflow-id", delivery,
                "--name", "retry_now",
            )  # fmt: skip
            assert forced.returncode == 0, forced.stderr
            own_server.until(delivery, "completed")
    builds = {name: build_of(own_server, name) for name in (mail, report, delivery)}
    assert builds == {mail: "b", report: "a", delivery: "b"}


def test_a_share_of_new_jobs_goes_to_a_build_that_is_tried_out(own_server: Installation) -> None:
    with (
        own_server.worker("--versioned", "--build-id", "a", "--queue", "emails"),
        own_server.worker("--versioned", "--build-id", "b", "--queue", "emails"),
    ):
        roll_out(own_server, "set-current-version", "a")
        before = own_server.submit("email", *WELCOME)
        own_server.until(before, "completed")
        roll_out(own_server, "set-ramping-version", "b", "--percentage", "100")
        after = own_server.submit("email", *WELCOME)
        own_server.until(after, "completed")
    assert [build_of(own_server, job_id) for job_id in (before, after)] == ["a", "b"]


@pytest.mark.parametrize("queue", Queue)
def test_queues_whose_jobs_may_be_open_for_days_move_to_a_new_build(queue: Queue) -> None:
    options = Options(queues=[queue], slots={}, grace=timedelta(0), build_id="b")
    config = deployment(options, queue)
    assert config is not None
    long = [kind for kind in kinds.ALL if kind.queue is queue and kind.deadline > LONGEST_STAY]
    moves = config.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE
    assert moves == bool(long)

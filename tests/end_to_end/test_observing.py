"""What a real worker tells of a job that fails: log and error tracker; and what health says."""

import asyncio
import json
from typing import Any

import pytest

from tests.end_to_end.installation import PATIENCE_S, Installation
from tests.end_to_end.test_worker import free_port
from tests.receivers import Collector, ErrorTracker

pytestmark = pytest.mark.slow

OWNER = "ada@example.com"
BROKEN = ("source=@planted-name.jpg", 'operations:=[{"type": "grayscale"}]', "--owner", OWNER)


def fail(installation: Installation, variables: dict[str, str]) -> tuple[str, list[dict[str, Any]]]:
    """Let a job of ``OWNER`` fail; return its id and the worker's log."""
    (installation.folder / "planted-name.jpg").write_bytes(b"no picture")
    with installation.worker("--log-format", "json", **variables) as worker:
        failed = installation.run("submit", "image", *BROKEN, "--wait", **variables)
        assert failed.code == 4, failed.err
        assert worker.stop() == 0
        lines = [line for line in worker.text().splitlines() if line.startswith("{")]
    return failed.err.split()[0], [json.loads(line) for line in lines]


async def test_a_failed_job_is_in_the_log_and_at_the_tracker_under_its_id(
    installation: Installation,
) -> None:
    async with ErrorTracker().running() as tracker:
        variables = {"CONVEYOR_SENTRY_DSN": tracker.dsn}
        job_id, lines = await asyncio.to_thread(fail, installation, variables)
    # The worker may have met a job that another test has left on the shared server.
    (event,) = [event for event in tracker.events if event["tags"]["job_id"] == job_id]
    assert event["tags"] == {"kind": "image", "error": "NotAnImage", "job_id": job_id}
    of_job = [line for line in lines if line.get("job_id") == job_id]
    (told,) = [line for line in of_job if line["message"] == "job failed for good"]
    assert (told["kind"], told["type"]) == ("image", "NotAnImage")
    assert {line["owner"] for line in of_job} == {told["owner"]}
    assert OWNER not in json.dumps(lines) + tracker.raw.decode()
    assert b"planted-name" not in tracker.raw


def both_listen(installation: Installation, variables: dict[str, str]) -> bool:
    """Tell whether health finds the collector and the tracker."""
    checks = installation.run("health", "--json", **variables).json()
    found = {check["name"]: check["ok"] for check in checks}
    return bool(found["traces"] and found["error tracker"])


async def test_health_tells_whether_collector_and_tracker_listen(
    installation: Installation,
) -> None:
    async with Collector().running() as collector, ErrorTracker().running() as tracker:
        there = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "CONVEYOR_SENTRY_DSN": tracker.dsn,
        }
        async with asyncio.timeout(PATIENCE_S):  # it waits for three seconds, we may pause
            while not await asyncio.to_thread(both_listen, installation, there):
                pass
    assert (tracker.events, collector.spans) == ([], [])


def test_health_calls_what_is_away_degraded(installation: Installation) -> None:
    away = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "CONVEYOR_SENTRY_DSN": f"http://public@127.0.0.1:{free_port()}/1",
    }
    with installation.worker(**away):
        lines = installation.run("health", **away).out.splitlines()
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    for name in ("traces", "error tracker"):
        state, told = rows[name]
        assert state == "DEGRADED"
        assert "does not answer" in told

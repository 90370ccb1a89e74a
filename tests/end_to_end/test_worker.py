"""The worker as a process: its own server, its stop, its probes."""

import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from adapters import devserver
from adapters.devserver import DevServer
from tests.end_to_end.installation import PATIENCE_S, Installation, WorkerProcess
from tests.servers import free_ports

pytestmark = pytest.mark.slow

WELCOME = ("template=welcome", "to=ada@example.com", "data.name=Ada")


def server_of(installation: Installation, worker: WorkerProcess) -> DevServer:
    """Return the embedded server; it may just be on its way back from a fall."""
    deadline = time.monotonic() + PATIENCE_S
    while (server := devserver.running(installation.folder / "data")) is None:
        assert time.monotonic() < deadline, worker.text()
        time.sleep(0.05)  # between looks at a file
    return server


def free_port() -> int:
    """Return a port that nothing listens on, and that the system gives to nobody."""
    (port,) = free_ports(1)
    return port


def until_good(url: str) -> None:
    """Return when a probe is good: one that asks a busy server may give up."""
    deadline = time.monotonic() + PATIENCE_S
    while httpx.get(url, timeout=PATIENCE_S).status_code != httpx.codes.OK:
        assert time.monotonic() < deadline, url


def until_listed(installation: Installation, job_id: str) -> None:
    """Return when the index, which a draining worker asks, knows of a job."""
    deadline = time.monotonic() + PATIENCE_S
    while job_id not in installation.run("list", "--kind", "email").out:
        assert time.monotonic() < deadline, job_id


def test_a_worker_brings_its_own_server_which_the_command_line_finds(alone: Installation) -> None:
    with alone.worker() as worker:
        assert "(embedded)" in worker.text()
        answer = alone.run("submit", "email", *WELCOME, "--wait")
        assert answer.code == 0, answer.err
        assert alone.run("health").code == 0


def test_jobs_survive_the_end_of_server_and_worker(alone: Installation) -> None:
    with alone.worker("--queue", "images") as worker:
        waiting = alone.submit("email", *WELCOME)
        killed = server_of(alone, worker).pid
        os.kill(killed, signal.SIGKILL)
        while server_of(alone, worker).pid == killed:
            time.sleep(0.05)  # between looks at a file
        assert alone.until(waiting, "waiting")["state"] == "waiting"  # the server is started anew
    with alone.worker():
        assert alone.until(waiting, "completed")["attempts"] == 1


def test_a_worker_told_to_stop_says_what_runs_and_loses_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    from PIL import Image

    big = tmp_path / "big.png"
    Image.effect_noise((3000, 3000), 80).save(big, compress_level=1)
    operations = json.dumps([{"type": "blur", "radius": 50}] * 20)
    job_id = installation.submit("image", f"source=@{big}", f"operations:={operations}")
    with installation.worker() as worker:
        installation.until(job_id, "running")
        assert worker.stop() == 0
        assert "stopping: " in worker.text()
    with installation.worker():
        assert installation.until(job_id, "completed")["attempts"] == 1


def test_probes_tell_that_the_worker_lives_and_polls(installation: Installation) -> None:
    port = free_port()
    with installation.worker("--probe-port", str(port)):
        for probe in ("livez", "readyz"):
            until_good(f"http://127.0.0.1:{port}/{probe}")


def test_a_draining_worker_leaves_when_no_job_is_due(installation: Installation) -> None:
    job_id = installation.submit("email", *WELCOME)
    later = installation.submit("email", *WELCOME, "--delay", "1h")
    until_listed(installation, job_id)
    with installation.worker("--drain", "--queue", "emails") as worker:
        assert worker.process.wait(timeout=PATIENCE_S) == 0
    assert installation.status(job_id)["state"] == "completed"
    assert installation.status(later)["state"] == "scheduled"

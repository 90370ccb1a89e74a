"""``starter.py dev``: everything in one terminal."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.end_to_end.installation import PATIENCE_S, ROOT, Installation


@pytest.mark.slow
def test_dev_serves_elsewhere_where_its_port_is_taken_and_says_so(alone: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        log = alone.folder / "dev.log"
        with log.open("wb") as sink:
            dev = subprocess.Popen(
                [sys.executable, "starter.py", "dev"],
                cwd=ROOT,
                env=alone.environment({"CONVEYOR_PUBLIC_URL": f"http://127.0.0.1:{port}"}),
                stderr=sink,
            )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while "Conveyor is up" not in (said := log.read_text()):
                assert dev.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)  # between looks at a file
            assert f"note: port {port} is taken" in said
            assert "set CONVEYOR_PUBLIC_URL" in said
            reference = next(line.split()[1] for line in said.splitlines() if "  API  " in line)
            with urllib.request.urlopen(reference) as answer:  # noqa: S310 - our own server
                assert answer.status == 200
        finally:
            dev.send_signal(signal.SIGINT)
            assert dev.wait(timeout=PATIENCE_S) == 0

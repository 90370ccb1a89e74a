"""A copy of a data folder, taken while server and workers run.

The order is what makes the copy safe to go on from: first Temporal's file, then the application's
database, then files. Whatever a job did between two copies is then in the later one. A step that
the copy of Temporal believes unfinished finds its effect in the ledger and does not repeat it, and
a file that a row names is there, because files are stored before their rows.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.devserver.files import ServerFiles
from adapters.storage.local import UNFINISHED

CLOSED: Final = 0o700
"""A copy holds every input and secret that the original holds."""


class BackupRefusedError(Exception):
    """No copy was made; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """One part of a copy."""

    part: str
    size_bytes: int


def back_up(
    data_dir: Path, target: Path, *, database: Path | None, files: Sequence[Path]
) -> Iterator[Copied]:
    """Copy a data folder to ``target``, which is made, and yield each part when it is copied.

    Args:
        data_dir: The folder.
        target: A new folder; put back in place of ``data_dir`` it is one.
        database: The application's SQLite file in the folder, if it is there.
        files: Further files and folders of the folder, in this order.

    Raises:
        BackupRefusedError: ``target`` is there already, or in the folder that is copied.
    """
    if target.exists():
        msg = f"{target} is there already: name a new folder"
        raise BackupRefusedError(msg)
    if target.absolute().is_relative_to(data_dir.absolute()):
        msg = f"{target} lies in the folder that is to be copied: name one outside"
        raise BackupRefusedError(msg)
    target.mkdir(parents=True, mode=CLOSED)
    for source in filter(None, (ServerFiles.of(data_dir).database, database)):
        if source.exists():
            yield copy_database(source, target / source.relative_to(data_dir.absolute()))
    for source in files:
        if source.exists():
            yield copy_files(source, target / source.relative_to(data_dir))


def copy_database(source: Path, target: Path) -> Copied:
    """Copy a SQLite file as it is at one moment, while others write to it."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=CLOSED)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        (sound,) = copy.execute("PRAGMA quick_check").fetchone()
    if sound != "ok":
        msg = f"{source.name} is damaged: {sound}"
        raise BackupRefusedError(msg)
    return Copied(part=target.name, size_bytes=target.stat().st_size)


def copy_files(source: Path, target: Path) -> Copied:
    """Copy a file, or a folder without what is half written; what goes meanwhile is left out."""
    size = 0
    for path in [source] if source.is_file() else sorted(source.rglob("*")):
        if path.is_file() and not UNFINISHED.search(path.name):
            to = target / path.relative_to(source) if source.is_dir() else target
            to.parent.mkdir(parents=True, exist_ok=True, mode=CLOSED)
            try:
                size += Path(shutil.copy2(path, to)).stat().st_size
            except FileNotFoundError:
                continue  # past its retention since the folder was listed
    return Copied(part=source.name, size_bytes=size)

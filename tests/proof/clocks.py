"""A clock that jumps: a few lines of C before a worker's own, where there is a compiler."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("clock.c")


@dataclass(slots=True)
class Clock:
    """The clock of one worker."""

    file: Path
    missing: str = ""
    """Why it can't be set; empty if it can."""
    variables: Mapping[str, str] = field(default_factory=dict)

    def shift(self, by: timedelta) -> None:
        """Let it show the time shifted ``by`` that, from now on."""
        # Written in place: the worker has the file mapped into its memory.
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("l", round(by.total_seconds())))


def make_clock(folder: Path) -> Clock:
    """Return a clock whose parts lie in ``folder``."""
    clock = Clock(folder / "clock")
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        clock.missing = "it takes Linux and a C compiler, cc"
        return clock
    library = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        clock.missing = "cc can't build clock.c here"
        return clock
    clock.variables = {"LD_PRELOAD": str(library), "PROOF_CLOCK": str(clock.file)}
    clock.shift(timedelta(0))
    return clock

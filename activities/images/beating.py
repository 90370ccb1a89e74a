"""Heartbeats of an image step, told by what its child process has done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activities.progress import report

BEAT_S: Final = 1.0


@dataclass(slots=True)
class Tracker:
    """How far a step is, for its heartbeats."""

    step: str
    total: int
    done: int = 0
    child: Path | None = None
    """A file that the child lets grow by a byte with each part that is done."""

    def tell(self) -> None:
        """Heartbeat."""
        done = self.done
        if self.child is not None:
            with suppress(OSError):  # not written yet
                done += self.child.stat().st_size
        report(min(done, self.total), self.total, step=self.step)


@asynccontextmanager
async def beating(tracker: Tracker) -> AsyncIterator[None]:
    """Heartbeat while the body runs."""

    async def beat() -> None:
        while True:
            tracker.tell()
            await asyncio.sleep(BEAT_S)

    beats = asyncio.create_task(beat())
    try:
        yield
    finally:
        beats.cancel()

"""The child processes that decode: pictures are hostile, and a C decoder can't be stopped.

A child has a time and a memory limit. One that hangs is killed, one that crashes is replaced, and
both cost only their own step. The pool's limit ends before Temporal's, so that a job shows
``DecoderTimeout`` and not that its worker was silent.
"""

import asyncio
import functools
import hashlib
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import PIL
from pebble import ProcessExpired, ProcessPool

from adapters.imaging import pipeline
from adapters.imaging.children import BareContext
from jobs.images.errors import BY_CODE, DecoderCrash, DecoderTimeout
from jobs.images.steps import BranchWork, ImageWork, Made, WorkDone

PIPELINE_VERSION: Final = 1
"""To be raised whenever the same step gives other pixels: names of pictures depend on it."""

MEMORY: Final = 2 * 1024**3
"""Address space of a child; 64 megapixels with alpha, turned, take 570 MB."""
TASKS_PER_CHILD: Final = 50
WARMING_S: Final = 0.05
CLOSING_S: Final = 5

FONT: Final = Path(__file__).parents[2] / "templates" / "fonts" / "DejaVuSans.ttf"


@dataclass
class ImagePool:
    """Decodes, changes and encodes pictures in child processes.

    Args:
        processes: As many as the worker has slots for image steps, so that no step waits in here.
        max_pixels: Width times height of the largest picture.
        step_limit: After this long a child is killed.
        memory: Address space of a child in bytes.
        font: Draws the text of watermarks.
    """

    processes: int = 2
    max_pixels: int = 64_000_000
    step_limit: timedelta = timedelta(seconds=45)
    memory: int = MEMORY
    font: Path = FONT
    _pool: ProcessPool | None = field(default=None, init=False)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What the same step's pixels depend on, besides its input."""
        font = hashlib.sha256(self.font.read_bytes()).hexdigest()
        return f"{PIPELINE_VERSION}-{PIL.__version__}-{font[:16]}"

    async def warm(self) -> None:
        """Start the children, so that the first step doesn't wait for them."""
        pool = self._open()
        futures = [
            asyncio.wrap_future(pool.schedule(pipeline.warm, args=[WARMING_S]))
            for _ in range(self.processes)
        ]
        await asyncio.gather(*futures)

    async def run(self, work: ImageWork, limit: timedelta) -> WorkDone:
        """Do ``work`` in a child; cancelling this kills the child.

        Args:
            work: One step, on local files.
            limit: How long it may take; the pool's own limit also holds.

        Raises:
            DecoderTimeout: it took longer.
            DecoderCrash: the child died.
            JobError: one of ``jobs.images.errors.BY_CODE``: the picture, or what is asked of it.
        """
        limit_s = min(limit, self.step_limit).total_seconds()
        future = self._open().schedule(pipeline.run, args=[_as_plain(work)], timeout=limit_s)
        try:
            report = await asyncio.wrap_future(future)
        except TimeoutError:
            msg = (
                f"the step took longer than {limit_s:g} s and was stopped: "
                "make the picture smaller, or raise CONVEYOR_IMAGE_STEP_LIMIT"
            )
            raise DecoderTimeout(msg) from None
        except ProcessExpired as error:
            msg = f"the process that decodes died (exit code {error.exitcode})"
            raise DecoderCrash(msg) from None
        except BrokenProcessPool:  # it died before the pool knew what it was at
            msg = "all processes that decode died; others are started"
            raise DecoderCrash(msg) from None
        if "code" in report:
            raise BY_CODE[report["code"]](report["message"])
        return WorkDone(
            made=[Made(**made) for made in report["made"]],
            facts=report["facts"],
            warnings=report["warnings"],
            cpu_ms=report["cpu_ms"],
        )

    async def close(self) -> None:
        """End the children; steps that still run are cut."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.close()  # type: ignore[no-untyped-call]  # pebble leaves these two unannotated
            pool.stop()  # type: ignore[no-untyped-call]  # as above
            with suppress(TimeoutError):  # a child that resists goes with its parent
                await asyncio.to_thread(pool.join, CLOSING_S)

    def _open(self) -> ProcessPool:
        if self._pool is None or not self._pool.active:
            context = BareContext()
            context.set_forkserver_preload(["adapters.imaging.pipeline"])
            self._pool = ProcessPool(
                max_workers=self.processes,
                max_tasks=TASKS_PER_CHILD,
                initializer=pipeline.start,
                initargs=[str(self.font), self.max_pixels, self.memory],
                context=context,
            )
        return self._pool


def _as_plain(work: ImageWork) -> dict[str, Any]:
    """Return ``work`` without our models: a child that knew them would be three times as large."""
    return {
        "path": str(work.path),
        "is_source": work.is_source,
        "source_format": work.source_format,
        "on_animated": work.on_animated,
        "metadata": work.metadata,
        "progress": str(work.progress),
        "branches": [_branch_as_plain(branch) for branch in work.branches],
    }


def _branch_as_plain(branch: BranchWork) -> Mapping[str, Any]:
    return {
        "changes": [change.model_dump() for change in branch.changes],
        "marks": {key: str(path) for key, path in branch.marks.items()},
        "keep": None if branch.keep is None else str(branch.keep),
        "file": None if branch.file is None else str(branch.file),
        "encoding": None if branch.encoding is None else branch.encoding.model_dump(),
    }

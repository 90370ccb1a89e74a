"""Watching jobs for many at once: one look a second at each watched job, however many watch it.

Server-sent events: ``state`` (the job object) when anything but its progress changed, ``progress``
when only that did, ``log`` for each line. An event's id is ``<run>-<lines told>``; a reader that
comes again with it goes on after that line. The stream ends after the final state; its last id is
``<run>-end``, and a reader that comes again with that one is told to stay away (204).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from pydantic_core import to_json

from jobs.client import Follower, JobClient, LogLine
from jobs.errors import ConveyorError, JobNotFoundError
from jobs.status import JobProgress, JobStatus

log: Final = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
BEAT_EVERY_S: Final = 15.0
"""A comment goes out after so long a silence, so that nothing in between takes it for dead."""
END: Final = "end"
RUN_SHOWN: Final = 8

Present = Callable[[JobStatus], JobStatus]


@dataclass(slots=True)
class Watch:
    """One watched job: how it is, its log so far, and whom to wake."""

    follower: Follower
    job: JobStatus | None = None
    lines: list[LogLine] = field(default_factory=list)
    over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0

    async def look_on(self, every_s: float) -> None:
        """Look until the job is final or gone; what goes wrong in between is tried again."""
        while not self.over:
            try:
                await self._look()
            except JobNotFoundError:
                self.over = True
            except ConveyorError as error:
                log.warning("a watched job can't be looked at", extra={"reason": str(error)})
            if self.over:
                self._wake()
                return
            await asyncio.sleep(every_s)

    async def _look(self) -> None:
        look = await self.follower.look()
        new_run = self.job is not None and look.job.run_id != self.job.run_id
        if not new_run and look.job == self.job and not look.lines:
            return
        if new_run:
            self.lines = []
        self.lines += look.lines
        self.job = look.job
        self.over = look.job.state.final
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Hub:
    """Every watched job of this process."""

    def __init__(
        self,
        jobs: JobClient,
        *,
        look_every_s: float = LOOK_EVERY_S,
        beat_every_s: float = BEAT_EVERY_S,
    ) -> None:
        self._jobs = jobs
        self._look_every_s = look_every_s
        self._beat_every_s = beat_every_s
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}

    @property
    def watched(self) -> int:
        """How many jobs are watched."""
        return len(self._watches)

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return sum(watch.readers for watch, _ in self._watches.values())

    async def close(self) -> None:
        """End every stream."""
        for watch, task in list(self._watches.values()):
            task.cancel()
            watch.over = True
            watch.changed.set()

    async def events(
        self, job_id: str, present: Present, last_id: str | None = None
    ) -> AsyncIterator[bytes]:
        """Yield a job's events until it is final; the caller has checked who asks.

        Args:
            job_id: The job.
            present: Makes the job object what this reader may see.
            last_id: Id of the last event that the reader has.
        """
        with self._watching(job_id) as watch:
            sent: JobStatus | None = None
            run = ""
            told = 0
            while True:
                changed = watch.changed
                job = watch.job
                if job is not None:
                    if job.run_id != run:
                        run = job.run_id
                        told = _resumed(last_id, run)
                    if job != sent:
                        yield _state_or_progress(job, sent, present, f"{run[:RUN_SHOWN]}-{told}")
                        sent = job
                    for line in watch.lines[told:]:
                        told += 1
                        yield _event("log", line, f"{run[:RUN_SHOWN]}-{told}")
                if watch.over:
                    last = f"id: {run[:RUN_SHOWN]}-{END}\nevent: end\ndata: {{}}\n\n"
                    yield last.encode() if run else b": gone\n\n"
                    return
                try:
                    async with asyncio.timeout(self._beat_every_s):
                        await changed.wait()
                except TimeoutError:
                    yield b": still here\n\n"

    @contextmanager
    def _watching(self, job_id: str) -> Iterator[Watch]:
        if job_id not in self._watches:
            watch = Watch(self._jobs.follower(job_id))
            task = asyncio.create_task(watch.look_on(self._look_every_s))
            self._watches[job_id] = watch, task
        watch, task = self._watches[job_id]
        watch.readers += 1
        try:
            yield watch
        finally:
            watch.readers -= 1
            if watch.readers == 0:
                task.cancel()
                del self._watches[job_id]


def is_end(last_id: str | None) -> bool:
    """Tell whether a reader has already got the last event."""
    return last_id is not None and last_id.endswith(f"-{END}")


def _resumed(last_id: str | None, run: str) -> int:
    shown, _, told = (last_id or "").rpartition("-")
    return int(told) if shown == run[:RUN_SHOWN] and told.isascii() and told.isdigit() else 0


def _state_or_progress(
    job: JobStatus, sent: JobStatus | None, present: Present, event_id: str
) -> bytes:
    if sent is not None and job.model_copy(update={"progress": sent.progress}) == sent:
        return _event("progress", job.progress, event_id)
    return _event("state", present(job), event_id)


def _event(name: str, data: JobStatus | JobProgress | LogLine, event_id: str) -> bytes:
    text = to_json(data, inf_nan_mode="null")
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), event_id.encode(), text)

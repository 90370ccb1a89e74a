"""Progress of a step, carried by its heartbeats."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from temporalio import activity

from jobs.status import Progress

BEAT_INTERVAL_S: Final = 4.0
WAIT_BEAT_INTERVAL_S: Final = 2.0
WORKER: Final = uuid4().hex
"""Of this process: by it a workflow tells a worker that died from one that was cut off."""


@dataclass(slots=True)
class LastBeat:
    """What a step has last said of itself."""

    progress: Progress | None = None


_last_beat: Final[ContextVar[LastBeat]] = ContextVar("what the running step has last said")


def remember_beats() -> None:
    """Remember what the step that begins here says of itself, in all its tasks."""
    _last_beat.set(LastBeat())


def report(
    done: int, total: int | None = None, unit: str = "", message: str = "", step: str = ""
) -> None:
    """Heartbeat how far this step is; call it after each real unit of work, as often as you like.

    The worker sends at most one heartbeat a second, and cancellation arrives with its answer.
    ``step`` is its name where the activity's own says too little.
    """
    step = step or _name()
    beat(Progress(step=step, done=done, total=total, unit=unit, message=message))


def beat(progress: Progress) -> None:
    """Heartbeat ``progress``, and which worker it comes from."""
    if last := _last_beat.get(None):
        last.progress = progress
    activity.heartbeat(progress, WORKER)


@contextmanager
def beating_with(beat: Callable[[], None], interval_s: float) -> Iterator[None]:
    """Call ``beat`` every ``interval_s`` while the body runs; first when that time has passed.

    For waits that have a limit of their own: then a beat means what it says, that the step is alive
    and its loop turns.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def tick() -> None:
        nonlocal timer
        beat()
        timer = loop.call_later(interval_s, tick)

    timer = loop.call_later(interval_s, tick)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def repeating(at_most_s: float) -> Iterator[None]:
    """Repeat the step's last beat while the body runs, for ``at_most_s``; nothing outside a step.

    For waits that a step doesn't see, such as for a database that another process has locked: a
    step that stands still there is no lost worker.
    """
    if not activity.in_activity() or activity.info().heartbeat_timeout is None:
        yield
        return
    until = asyncio.get_running_loop().time() + at_most_s

    def again() -> None:
        if asyncio.get_running_loop().time() < until:
            last = _last_beat.get(None)
            beat(last.progress if last and last.progress else Progress(step=_name()))

    with beating_with(again, WAIT_BEAT_INTERVAL_S):
        yield


def _name() -> str:
    """Return the step's name within its kind."""
    return activity.info().activity_type.partition(".")[2]

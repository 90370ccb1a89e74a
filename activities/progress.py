"""Progress of a step, carried by its heartbeats."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from temporalio import activity

from jobs.status import Progress

BEAT_INTERVAL_S: Final = 4.0
WORKER: Final = uuid4().hex
"""Of this process: by it a workflow tells a worker that died from one that was cut off."""


def report(
    done: int, total: int | None = None, unit: str = "", message: str = "", step: str = ""
) -> None:
    """Heartbeat how far this step is; call it after each real unit of work, as often as you like.

    The worker sends at most one heartbeat a second, and cancellation arrives with its answer.
    ``step`` is its name where the activity's own says too little.
    """
    step = step or activity.info().activity_type.partition(".")[2]
    beat(Progress(step=step, done=done, total=total, unit=unit, message=message))


def beat(progress: Progress) -> None:
    """Heartbeat ``progress``, and which worker it comes from."""
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

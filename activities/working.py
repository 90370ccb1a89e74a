"""Work of a step: in a thread with heartbeats from what it counts, and ended when it is cut."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from temporalio import activity

from jobs.files import folder_of

ResultT = TypeVar("ResultT")

BEAT_S: Final = 1.0
CUT_AGAIN_S: Final = 5.0


class Counting(Protocol):
    """What the thread counts with, and is stopped by."""

    done: int
    stopped: bool


async def in_thread(
    work: Callable[[], ResultT], meter: Counting, beat: Callable[[int], None]
) -> ResultT:
    """Run ``work`` in a thread and return its result, with ``beat`` whenever ``meter`` has moved.

    When the step is cancelled the thread is told through ``meter`` and waited for, so that nothing
    works on after the step has ended.
    """
    running = asyncio.create_task(asyncio.to_thread(work))
    seen = -1
    try:
        while True:
            finished, _ = await asyncio.wait({running}, timeout=BEAT_S)
            if finished:
                return running.result()
            if meter.done != seen:
                seen = meter.done
                beat(seen)
    finally:
        meter.stopped = True
        await asyncio.wait({running})


async def cut(*tasks: asyncio.Task[Any]) -> None:
    """Cancel ``tasks`` until each has ended; their errors are not raised.

    Once is not enough: ``asyncio.wait_for`` of Python 3.11, by which mails wait for the relay,
    forgets a cancel that comes with what it waits for.
    """
    running: set[asyncio.Task[Any]] = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CUT_AGAIN_S)


def job_folder() -> str:
    """Return the running job's id as one part of a storage key."""
    return folder_of(activity.info().workflow_id or "")

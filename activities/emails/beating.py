"""Heartbeats of a step that waits for the network.

Each wait in such a step has a limit of its own, so a beat means what it says: the step is alive and
its loop turns.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from activities.progress import report

BEAT_INTERVAL_S: Final = 4.0
PHASES: Final = ("resolving", "composing", "sending")


@contextmanager
def beating_with(beat: Callable[[], None], interval_s: float) -> Iterator[None]:
    """Call ``beat`` every ``interval_s`` while the body runs; first when that time has passed."""
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
def beating() -> Iterator[Callable[[str], None]]:
    """Beat with the phase that the body names by calling what is yielded.

    A mail that is sent at once beats not at all.
    """
    phase = PHASES[0]

    def beat() -> None:
        report(PHASES.index(phase), len(PHASES), message=phase)

    def enter(name: str) -> None:
        nonlocal phase
        phase = name

    with beating_with(beat, BEAT_INTERVAL_S):
        yield enter

"""Heartbeats of a step that waits for the network."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from activities.progress import report

BEAT_INTERVAL_S: Final = 4.0
PHASES: Final = ("resolving", "composing", "sending")


@contextmanager
def beating() -> Iterator[Callable[[str], None]]:
    """Beat while the body waits for the network; yields a function that names its phase.

    Each wait in the body has a limit of its own, so a beat means what it says. A mail that is sent
    at once beats not at all.
    """
    loop = asyncio.get_running_loop()
    phase = PHASES[0]
    timer: asyncio.TimerHandle

    def beat() -> None:
        nonlocal timer
        report(PHASES.index(phase), len(PHASES), message=phase)
        timer = loop.call_later(BEAT_INTERVAL_S, beat)

    def enter(name: str) -> None:
        nonlocal phase
        phase = name

    timer = loop.call_later(BEAT_INTERVAL_S, beat)
    try:
        yield enter
    finally:
        timer.cancel()

"""Heartbeats of a step that sends a mail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from activities.progress import BEAT_INTERVAL_S, beating_with, report

PHASES: Final = ("resolving", "composing", "sending")


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

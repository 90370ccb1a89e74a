"""One thing that may happen to a job."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.replay.house import House

Play = Callable[[House], Awaitable[Sequence[str]]]
"""Lets jobs run to their end, and returns the ids of those whose histories are kept."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a job went; the name is that of its history's file."""

    name: str
    about: str
    """The kind, or the module, that it belongs to."""
    play: Play
    skips_time: bool = False
    """Played on a server that jumps over waits, and that asks for a new run after few events."""

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.about}/{self.name}"


def scenarios(*plays: Play, skip_time: bool = False) -> tuple[Scenario, ...]:
    """Return a scenario for each function, named as it is."""
    return tuple(
        Scenario(play.__name__, play.__module__.rpartition(".")[2], play, skip_time)
        for play in plays
    )

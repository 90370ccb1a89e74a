"""Plays a page of the docs: runs its commands in order and compares what they print.

In the page's text blocks ``…`` stands for anything, and the width of columns doesn't count.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.installation import ROOT, Installation

PAGE = ROOT / "docs" / "operate" / "story.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LIKE_A_TERMINAL = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "200"}
BOLD = re.compile(r"\x1b\[\d*m")


@dataclass(frozen=True, slots=True)
class Scene:
    """Some commands, and what they print together; or with no command, what a log has."""

    commands: tuple[tuple[str, ...], ...]
    prints: str


@dataclass(slots=True)
class Story:
    """One section of the page."""

    scenes: list[Scene]
    log: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, heading: str, page: Path = PAGE) -> "Story":
        """Return the section of that heading."""
        _, _, rest = page.read_text().partition(f"\n## {heading}\n")
        assert rest, f"no section {heading!r}"
        return cls(list(scenes(rest.partition("\n## ")[0])))

    def play(self, installation: Installation, count: int) -> None:
        """Run the next ``count`` scenes that have commands."""
        for _ in range(count):
            scene = self.scenes.pop(0)
            assert scene.commands, f"no command prints this: {scene.prints}"
            said = ""
            for command in scene.commands:
                answer = installation.run(*command, **LIKE_A_TERMINAL)
                assert answer.code == 0, (command, answer.err)
                said += BOLD.sub("", answer.out) + answer.err
            assert matches(scene.prints, said), f"{scene.prints}\nbut\n{said}"

    def is_logged(self, text: str) -> bool:
        """Tell whether a log has what the next scene, which has no command, shows."""
        return any(matches(self.scenes[0].prints, line) for line in text.splitlines())

    def read_log(self, text: str) -> None:
        """Compare the next scene, which has no command, with the lines of a log: one is like it."""
        scene = self.scenes.pop(0)
        assert not scene.commands, scene.commands
        alike = [line for line in text.splitlines() if matches(scene.prints, line)]
        assert len(alike) == 1, f"{len(alike)} lines are like {scene.prints}"


def scenes(section: str) -> Iterator[Scene]:
    """Yield the scenes of a section."""
    blocks = BLOCK.findall(section)
    while blocks:
        kind, text = blocks.pop(0)
        commands = []
        if kind == "sh":
            words = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines()]
            commands = [tuple(line[2:]) for line in words if line[:2] == ["python", "starter.py"]]
            text = blocks.pop(0)[1] if blocks and blocks[0][0] == "text" else "…"
        yield Scene(tuple(commands), text)


def matches(pattern: str, text: str) -> bool:
    """Tell whether ``text`` is what a page shows."""
    first, *others = " ".join(pattern.split()).split("…")
    rest = " ".join(text.split())
    if not others:
        return rest == first
    if not rest.startswith(first) or not rest.endswith(others[-1]):
        return False
    rest = rest[len(first) : len(rest) - len(others[-1])]
    for part in others[:-1]:
        _, found, rest = rest.partition(part)
        if not found and part:
            return False
    return True

"""Where the parts of a running stack are, and how others learn it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

STACK_FILE: Final = "STACK_FILE"
"""Variable that names the file with a running stack's addresses."""
TESTS: Final = "tests"
"""A namespace where no worker of the stack polls: for tests that bring their own."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the parts of a running stack are."""

    temporal: str
    ui: str
    api: str
    mails: str
    """Folder of what the mail sink took."""
    workers: Sequence[str]
    variables: Mapping[str, str]
    """What a command needs to be one of the stack's."""

    def save(self, path: Path) -> None:
        """Write all of it to ``path``."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote."""
        return cls(**json.loads(path.read_text()))

    def told(self) -> str:
        """Return the addresses, for people."""
        exports = "\n".join(f"  export {name}='{value}'" for name, value in self.variables.items())
        return (
            "The stack is up; Ctrl-C stops it.\n"
            f"  API       {self.api}/docs\n"
            f"  Web UI    {self.ui}\n"
            f"  Temporal  {self.temporal}\n"
            f"  mails     {self.mails}/\n"
            f"  workers   {', '.join(self.workers)}\n"
            f"To use it from another terminal:\n{exports}"
        )

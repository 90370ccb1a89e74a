"""Keeps spreadsheets from running text cells as formulas, and takes that off again.

A text that begins with ``= + - @``, a tab or a return, or with ``'`` before one of these, gets one
``'`` more; taking one off gives the same text back.
"""

import re
from collections.abc import Sequence
from typing import Final

SIGNS: Final = r"=+\-@\t\r"
RISKY: Final = re.compile(rf"'*[{SIGNS}]")
GUARDED: Final = re.compile(rf"''*[{SIGNS}]")
FIRST: Final = tuple("'=+-@\t\r")
"""What a cell must begin with to be looked at."""


def guard(cells: Sequence[str]) -> list[str]:
    """Return ``cells`` as a spreadsheet may open them."""
    return [f"'{cell}" if cell.startswith(FIRST) and RISKY.match(cell) else cell for cell in cells]


def unguard(cells: Sequence[str]) -> list[str]:
    """Return what ``guard`` was given."""
    return [cell[1:] if cell[:1] == "'" and GUARDED.match(cell) else cell for cell in cells]

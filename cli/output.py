"""What commands print: data on standard output, words on standard error.

A table on a terminal, tab-separated lines in a pipe, one JSON document with ``--json``.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

STYLES: Final = {
    "completed": "green",
    "failed": "red",
    "timed_out": "red",
    "terminated": "red",
    "retrying": "yellow",
    "held": "yellow",
    "paused": "yellow",
    "cancelled": "bright_black",
    "running": "cyan",
}


def console(*, words: bool = False) -> "Console":
    """Return the terminal for data, or for words; honours ``NO_COLOR``."""
    from rich.console import Console

    return Console(stderr=words, highlight=False, soft_wrap=words)


def say(text: str) -> None:
    """Tell people something."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_json(data: "BaseModel | Mapping[str, Any] | Sequence[Any]") -> None:
    """Print one JSON document, indented on a terminal."""
    from pydantic_core import to_json

    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(to_json(data, indent=indent).decode() + "\n")
    sys.stdout.flush()


def print_json_line(data: "BaseModel | Mapping[str, Any]") -> None:
    """Print one JSON document on one line, at once."""
    from pydantic_core import to_json

    sys.stdout.write(to_json(data).decode() + "\n")
    sys.stdout.flush()


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on a terminal, tab-separated lines elsewhere."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty() and not os.environ.get("FORCE_COLOR"):
        for row in texts:
            cells = (cell.replace("\t", " ").replace("\n", " ") for cell in row)
            sys.stdout.write("\t".join(cells) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.show_header = any(columns)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in texts:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print what is known of one thing, a line each; what is unknown is left out."""
    print_rows(
        ("", ""), [(name, value) for name, value in facts.items() if value not in (None, "")]
    )


def compact(data: object) -> str:
    """Return ``data`` as JSON on one line, cut where it gets long."""
    longest = 200
    text = json.dumps(data, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"

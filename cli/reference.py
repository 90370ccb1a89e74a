"""``starter.py settings``: every setting, its default and its meaning, as a Markdown page."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HEAD = """# Settings

Written by `python starter.py settings > docs/reference/settings.md`.

The connection to Temporal is read from `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
`TEMPORAL_API_KEY`, `TEMPORAL_TLS_*` or a profile file, as the `temporal` command does; without
them `worker.py` runs a server of its own. Everything else is a `CONVEYOR_*` variable. Each can be
given as a file, whose path is then in `CONVEYOR_<NAME>_FILE`: for mounted secrets. A wrong or
misspelt one stops the start.

| variable | default | meaning |
| --- | --- | --- |
"""


def show_settings() -> None:
    """Print every setting, its default and its meaning, as a Markdown page."""
    sys.stdout.write(page())


def page() -> str:
    """Return the reference of settings."""
    from settings import PREFIX, Settings

    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_meaning(field)} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _default(field: "FieldInfo") -> str:
    from datetime import timedelta

    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, "", (), {}, []):
        return ""
    if isinstance(value, timedelta):
        value = f"{value.total_seconds():g}s"
    if isinstance(value, list | tuple | set | frozenset):
        value = ",".join(str(item) for item in value)
    return f"`{value}`"


def _meaning(field: "FieldInfo") -> str:
    text = " ".join((field.description or "").split())
    return text.replace("``", "`").replace("|", "\\|")

"""The variables that settings are read from: their names, files of secrets, and misspelt ones."""

import difflib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource
from typing_extensions import override

PREFIX: Final = "CONVEYOR_"
FILE_SUFFIX: Final = "_FILE"
OF_COMMANDS: Final = {f"{PREFIX}OWNER", f"{PREFIX}QUEUES"}
"""Variables that stand for an option of a command, and are no settings."""


class SettingsError(Exception):
    """A variable is wrong or misspelt; the message names it and the fix."""


class FileVariables(PydanticBaseSettingsSource):
    """Reads a setting from the file that ``CONVEYOR_<NAME>_FILE`` names."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}{FILE_SUFFIX}"
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            value = Path(path).read_text().strip()
        except OSError as error:
            msg = f"{variable}: {path} can't be read: {error.strerror}"
            raise SettingsError(msg) from None
        if not value:  # a secret that was never filled in must not mean the default
            msg = f"{variable}: {path} is empty"
            raise SettingsError(msg)
        return value, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


def refuse_unknown(fields: Collection[str]) -> None:
    """Raise ``SettingsError`` for a variable of ours that is no setting, with the nearest name."""
    known = {f"{PREFIX}{name.upper()}" for name in fields}
    known |= {name + FILE_SUFFIX for name in known} | OF_COMMANDS
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = (
                f"did you mean {near[0]}?" if near else "docs/reference/settings.md lists them all"
            )
            msg = f"{name}: no such setting; {fix}"
            raise SettingsError(msg)

"""The environment, read once.

The connection to Temporal is not here: it comes from ``temporalio.envconfig``
(``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, TLS, profiles). What is the
same in every deployment (timeouts, attempts, retention of a kind) is in ``jobs/<kind>.py``.
"""

from typing import Any

from pydantic import ValidationError

from settings.model import Settings
from settings.variables import FILE_SUFFIX, PREFIX, SettingsError, refuse_unknown

__all__ = ["FILE_SUFFIX", "PREFIX", "Settings", "SettingsError", "load"]


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment; ``overrides`` win.

    Raises:
        SettingsError: a variable is wrong or misspelt, with its name and the fix.
    """
    refuse_unknown(Settings.model_fields)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'.'.join(str(part) for part in problem['loc']).upper()}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None

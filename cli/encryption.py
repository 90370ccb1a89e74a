"""``starter.py encryption-key``: a key for ``CONVEYOR_ENCRYPTION_KEYS``."""

import sys
from typing import Annotated

import typer

from cli import output


def encryption_key(
    key_id: Annotated[
        str | None,
        typer.Option("--id", help="Its id, seen beside what it encrypts. Default: today."),
    ] = None,
) -> None:
    """Make a key that encrypts what jobs hold, and print it: nothing keeps it.

    Put it first in CONVEYOR_ENCRYPTION_KEYS, or into the file that CONVEYOR_ENCRYPTION_KEYS_FILE
    names.
    """
    from datetime import UTC, datetime

    from jobs.encryption import KEY_ID_PATTERN, new_key
    from jobs.errors import InvalidInputError, Problem

    key_id = key_id or f"{datetime.now(UTC):%Y-%m-%d}"
    if not KEY_ID_PATTERN.fullmatch(key_id):
        message = f"{key_id!r}: use letters, digits and '_.-', at most 64"
        raise InvalidInputError([Problem("id", message)])
    sys.stdout.write(f"{new_key(key_id)}\n")
    output.say(
        "keep a copy with your backups: without it, what it encrypts can't be read by anyone"
    )

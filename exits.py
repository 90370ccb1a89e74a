"""The one place where a command's process ends: errors in words, true exit codes."""

import logging
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final, NoReturn

OK: Final = 0
UNEXPECTED: Final = 1
INVALID: Final = 2
NOT_FOUND: Final = 3
FAILED: Final = 4
CANCELLED: Final = 5
UNREACHABLE: Final = 6
CONFLICT: Final = 7
TIMED_OUT: Final = 8
INTERRUPTED: Final = 130

CODES: Final = {
    "InvalidInputError": INVALID,
    "SettingsError": INVALID,
    "BackupRefusedError": INVALID,
    "MigrationError": INVALID,
    "EncryptionKeyMissing": INVALID,
    "JobNotFoundError": NOT_FOUND,
    "ScheduleNotFoundError": NOT_FOUND,
    "JobFailedError": FAILED,
    "JobCancelledError": CANCELLED,
    "ServerUnreachableError": UNREACHABLE,
    "DevServerError": UNREACHABLE,
    "ConflictError": CONFLICT,
    "WaitTimedOutError": TIMED_OUT,
}
TOLD: Final = {*CODES, "LocalProcessError", "PayloadAltered"}
"""Errors whose message says it all; any other is shown with its traceback.

By name, so that no command pays for importing what it does not use.
"""


def run_to_exit(command: Callable[[], object]) -> NoReturn:
    """Run ``command`` and end the process with the exit code that tells how it went.

    Ends by ``os._exit``: at a normal exit the Temporal SDK's native threads can abort the process
    after all its work is done (seen in 1 of 30 runs on Python 3.11), and the code would lie.
    """
    leave(code_of(command))


def require_libraries() -> None:
    """End with what to do where this Python has none of the libraries; before they are imported."""
    if find_spec("typer") is not None:
        return
    sys.stderr.write(
        f"error: {sys.executable} has no libraries: run `make` once, which makes .venv, "
        "then `. .venv/bin/activate`\n"
    )
    sys.exit(UNEXPECTED)


def code_of(command: Callable[[], object]) -> int:
    """Run ``command``, say what went wrong, and return the exit code for it."""
    try:
        command()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else OK if not leaving.code else 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        return OK
    except Exception as error:
        if TOLD.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            logging.getLogger("conveyor").exception("unexpected error")
        else:
            sys.stderr.write(f"error: {error}\n")
        return code_for(error)
    return OK


def code_for(error: BaseException) -> int:
    """Return the exit code for ``error``, by the nearest of its classes."""
    for kind in type(error).__mro__:
        if kind.__name__ in CODES:
            return CODES[kind.__name__]
    return UNEXPECTED


def leave(code: int) -> NoReturn:
    """Flush everything and end the process."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or UNEXPECTED
    os._exit(code)

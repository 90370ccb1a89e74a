"""Runs many commands of ``starter.py`` in one process, as each would run in its own.

Reads a JSON list of argument lists from standard input; writes a JSON list of code, out and err.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from cli.app import app
from exits import code_of, leave


def answer(arguments: list[str]) -> dict[str, object]:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = code_of(lambda: app(arguments))
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    json.dump([answer(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
    leave(0)

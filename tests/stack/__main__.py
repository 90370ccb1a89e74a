"""The topology of ``docker-compose.yml`` from packages, on one machine: ``make stack``.

Temporal on a database file of its own, PostgreSQL, an S3 store, a mail sink, the API, and two of
each of the compose file's workers, with the commands that stand there. It prints its addresses and
runs until Ctrl-C. ``python -m tests.stack -m pytest tests/end_to_end`` (``make stack-test``) runs
that Python command against it and ends with its exit code; the command finds the addresses in the
file that STACK_FILE names.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters import devserver
from cli.local import LocalProcessError
from exits import leave
from tests.servers import ServerMissingError
from tests.stack.parts import ROOT, Parts, outside, run, running_stack
from tests.stack.where import STACK_FILE

FOLDER: Final = Path(os.environ.get("STACK_FOLDER", ROOT / ".conveyor" / "stack"))
DATA: Final = FOLDER / "data"


async def main(command: Sequence[str]) -> int:
    """Run the stack until a signal, the end of ``command`` or the end of a part."""
    cancelled_by_signals(asyncio.current_task())
    shutil.rmtree(DATA, ignore_errors=True)  # what an earlier stack left
    DATA.mkdir(parents=True)
    say("starting Temporal, PostgreSQL, an S3 store, a mail sink, workers and the API ...")
    try:
        async with running_stack(DATA) as (stack, parts):
            stack.save(FOLDER / "stack.json")
            say(stack.told())
            return await first_end(parts, command)
    except asyncio.CancelledError:
        say("stopped")
        return 0


async def first_end(parts: Parts, command: Sequence[str]) -> int:
    """Return the exit code of ``command``, or 1 when a part ends before.

    Without a command, that is the only end besides being cancelled.
    """
    ends = {asyncio.create_task(part.wait(), name=name) for name, part in parts.items()}
    if command:
        environment = {**outside(), STACK_FILE: str(FOLDER / "stack.json")}
        ends.add(asyncio.create_task(run(environment, *command), name="command"))
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    for end in done:
        if end.get_name() == "command":
            return end.result()
        say(f"{end.get_name()} has ended; its log is {DATA / end.get_name()}.log")
    return 1


def cancelled_by_signals(task: "asyncio.Task[int] | None") -> None:
    """Let the first signal cancel ``task``; further ones change nothing, all is ending."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        say("stopping")
        if task is not None:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, cancel)


def say(text: str) -> None:
    """Tell the person who started it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        code = asyncio.run(main(sys.argv[1:]))
    except (LocalProcessError, devserver.DevServerError, ServerMissingError) as error:
        say(f"error: {error}")
        code = 1
    leave(code)

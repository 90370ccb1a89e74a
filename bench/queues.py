"""The same mails through Conveyor and through other queues: rate, latency, what a crash does.

Each has one worker with five mails at once and a relay of its own, which logs what it takes; all
is counted and timed there. A mail has the same bytes for all. Ours fill the template in and build
the message for each mail; the others are handed the finished message and only put a number in it,
over kept connections, which favours them. In the timed part Redis appends with `appendfsync
always`, PostgreSQL has its defaults (`fsync=on`), our Temporal server keeps SQLite with
`synchronous=FULL`; all are up, and they take turns. Rates run from the first submission to the last
arrival, latencies from the submission to an idle worker to the arrival.

For the crashes each has a slow relay, the settings that the tool comes with, and some dozens of
jobs, all submitted by then: the worker is killed three times in the middle of them, or the broker
once, always with SIGKILL and all children, and started again at once. A worker whose queue has lost
so many mails that the turn of the next kill can't come is killed when none has arrived for 30
seconds. A mail is *lost* if it has not arrived when nothing has arrived for 75 seconds (25 where it
is measured quickly), and *doubled* for each further copy. What would come back only later is said
in words.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.harness import Plan, Row
from bench.peers.contenders import CONTENDERS, NODE, Contender, install_bullmq
from bench.peers.crashes import Outcome, trials, try_all
from bench.peers.page import markdown
from bench.peers.running import Running, running
from bench.peers.telling import Measured, as_rows
from tests.servers import ServerMissingError

__all__ = ["NAME", "TITLE", "markdown", "run"]

NAME = "peers"  # the package of that name holds their programs
TITLE = "The same mails through other queues: rate, latency, what a crash does"

MOST_ROUNDS: Final = 3
LATENCIES: Final = 20
QUICK_LATENCIES: Final = 5
QUICK_DIVISOR: Final = 5
LEAST: Final = 40
STARTED_AT_ONCE: Final = 3


async def run(plan: Plan) -> Sequence[Row]:
    """Measure rates and latencies in turns, then try the crashes."""
    return as_rows(await asyncio.to_thread(measure, plan))


def measure(plan: Plan) -> Measured:
    """Do it all; what can't be had here is named and left out."""
    found = Measured()
    with tempfile.TemporaryDirectory() as folder:
        node = None
        try:
            node = install_bullmq(Path(folder))
        except ServerMissingError as error:
            found.missing["BullMQ"] = str(error)
        wanted = [one for one in CONTENDERS if node or one.worker[:2] != NODE]
        with ThreadPoolExecutor(STARTED_AT_ONCE) as threads, ExitStack() as stack:
            starting = {
                contender.name: threads.submit(start, contender, node, stack)
                for contender in wanted
            }
            up: dict[str, Running] = {}
            for name, future in starting.items():
                try:
                    up[name] = future.result()
                except (ServerMissingError, RuntimeError) as error:
                    found.missing[name] = str(error)
            take_turns(up, plan, found)
        attempted = trials([one for one in wanted if one.name in up])
        for trial, outcome in zip(attempted, try_all(attempted, node, plan), strict=True):
            if isinstance(outcome, Outcome):
                found.crashes[trial] = outcome
            else:
                found.missing[f"{trial.contender.name}, {trial.setting}"] = str(outcome)
    return found


def start(contender: Contender, node: Path | None, stack: ExitStack) -> Running:
    """Start a contender, which ends with ``stack``; raises what ``running`` raises."""
    contender.require()
    return stack.enter_context(running(contender, node, strict=True))


def take_turns(up: dict[str, Running], plan: Plan, found: Measured) -> None:
    """Measure the rates of all in so many rounds, and then how long one mail takes when idle.

    Whoever breaks is taken out of ``up``, and named.
    """

    def seconds(name: str, mails: int) -> float | None:
        try:
            return up[name].seconds(mails)
        except RuntimeError as error:
            if up.pop(name).contender.ours:
                raise
            found.missing[name] = str(error)
            found.rates.pop(name, None)
            return None

    for number in range(min(plan.rounds, MOST_ROUNDS) + 1):  # the first round warms up
        for name in list(up):
            mails = up[name].contender.mails
            if plan.quick or number == 0:
                mails = max(mails // QUICK_DIVISOR, min(mails, LEAST))
            took = seconds(name, mails)
            if took and number:
                found.rates.setdefault(name, []).append(mails / took)
    for _ in range(plan.of(LATENCIES, QUICK_LATENCIES)):
        for name in list(up):
            if took := seconds(name, 1):
                found.latencies.setdefault(name, []).append(took * 1000)

"""Run the proof: ``python -m tests.proof``; 1 if anything was lost, doubled unnamed, or unbounded.

Three parts: ``mixed`` (jobs of every kind under a plan of faults), ``storm`` (a hundred clients,
the same ids) and ``flood`` (ten times the jobs; memory).
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from pathlib import Path
from typing import Final

from bench.__main__ import machine
from cli.output import say
from exits import leave
from tests.proof.flood import Flood, flood
from tests.proof.mixed import Outcome, prove
from tests.proof.storm import Storm, storm
from tests.proof.telling import tables, write

JOBS: Final = 2_000
FREEZE_S: Final = 40.0
"""Longer than every heartbeat there is."""
FLOOD: Final = 10
"""Jobs of the flood for each of the mixed load."""
JOBS_AN_ID: Final = 20
"""In the storm there is an id for each so many."""
PARTS: Final = ("mixed", "storm", "flood")
WRITTEN: Final = Path(__file__).resolve().parents[2] / "docs" / "proof"


def main() -> int:
    """Run; return 1 if a part did not prove what it should."""
    options = _options()
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 - no secret
    began = time.monotonic()

    def tell(text: str) -> None:
        say(f"{time.monotonic() - began:7.1f} s  {text}")

    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each connection that is cut
    described = machine()
    tell(f"seed {seed}, {options.jobs:,} jobs: {', '.join(options.parts)}")
    found: list[Outcome | Storm | Flood] = []
    for part in options.parts:
        match part:
            case "mixed":
                running = prove(seed=seed, jobs=options.jobs, freeze_s=options.freeze, say=tell)
                found.append(asyncio.run(running))
            case "storm":
                found.append(asyncio.run(storm(max(1, options.jobs // JOBS_AN_ID), tell)))
            case _:
                found.append(asyncio.run(flood(options.jobs * FLOOD, tell)))
        sys.stdout.write(f"\n{tables(found[-1])}\n")
        sys.stdout.flush()
    if options.write:
        write(WRITTEN, described, found)
        tell("written: docs/proof/faults.md and faults.json")
    failed = [type(part).__name__.lower() for part in found if not part.proved]
    tell(f"NOT proved: {', '.join(failed)}" if failed else "proved")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many, default {JOBS:,}")
    parser.add_argument("--seed", type=int, help="repeats a plan and a load; default a new one")
    parser.add_argument("--freeze", type=float, default=FREEZE_S, help="seconds of a freeze")
    parser.add_argument(
        "--parts",
        type=lambda text: [part for part in PARTS if part in text.split(",")],
        default=list(PARTS),
        help="some of mixed,storm,flood",
    )
    parser.add_argument("--write", action="store_true", help="write docs/proof/faults.md and .json")
    return parser.parse_args()


if __name__ == "__main__":
    leave(main())

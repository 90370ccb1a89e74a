"""Run the proof: ``python -m tests.proof [--jobs N] [--seed S]``; 1 if anything was lost."""

import argparse
import asyncio
import logging
import random
import sys
import time

from cli.output import say
from tests.proof.mixed import prove
from tests.proof.telling import told

JOBS = 2_000
FREEZE_S = 40.0


def main() -> int:
    """Run; return 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="proof", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many, default {JOBS}")
    parser.add_argument("--seed", type=int, help="repeats a plan; default a new one")
    parser.add_argument("--freeze", type=float, default=FREEZE_S, help="seconds of a freeze")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 - no secret
    began = time.monotonic()

    def tell(text: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {text}")

    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each connection that is cut
    tell(f"seed {seed}, {options.jobs} jobs")
    outcome = asyncio.run(prove(seed=seed, jobs=options.jobs, freeze_s=options.freeze, say=tell))
    sys.stdout.write(told(outcome))
    sys.stdout.flush()
    return 0 if outcome.proved else 1


if __name__ == "__main__":
    sys.exit(main())

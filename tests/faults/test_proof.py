"""The proof in short: every fault once over some jobs of every kind."""

import os
import sys

import pytest

from tests.proof.flood import flood
from tests.proof.mixed import prove, totals
from tests.proof.plan import Fault, make_plan
from tests.proof.storm import PAYLOADS, storm
from tests.proof.telling import tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

JOBS = int(os.environ.get("PROOF_JOBS", "60"))
FLOOD = int(os.environ.get("FLOOD_JOBS", "500"))
SEED = int(os.environ.get("FAULT_SEED", "12"))
"""`make proof` goes other ways: it draws one."""
FREEZE_S = 18.0
"""Longer than the heartbeats of mails, deliveries and pictures."""


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


async def test_under_every_fault_nothing_is_lost_and_what_is_doubled_is_named() -> None:
    outcome = await prove(seed=SEED, jobs=JOBS, freeze_s=FREEZE_S, say=say)

    say(tables(outcome))
    assert outcome.proved, tables(outcome)
    assert {*outcome.struck, *outcome.skipped} == set(Fault)
    assert totals(outcome.verdicts)["all"]["submitted"] >= JOBS
    assert outcome.poisoned >= 1


def test_the_same_seed_gives_the_same_plan_and_another_gives_another() -> None:
    plan = make_plan(7, 500, FREEZE_S)

    assert plan == make_plan(7, 500, FREEZE_S)
    assert plan != make_plan(8, 500, FREEZE_S)
    assert {strike.fault for strike in plan} == set(Fault)
    assert [strike.after for strike in plan] == sorted(strike.after for strike in plan)


async def test_of_100_clients_with_the_same_ids_one_wins_each_and_every_other_is_told() -> None:
    found = await storm(2, say)

    assert found.proved, tables(found)
    assert found.told == found.submissions // PAYLOADS * (PAYLOADS - 1)


async def test_a_flood_is_done_and_no_process_grows_with_it() -> None:
    found = await flood(FLOOD, say)

    say(tables(found))
    assert found.proved, tables(found)

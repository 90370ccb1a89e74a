"""Batches whose worker is killed at a random moment: no item lost, few done twice."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from adapters.database import migrate
from adapters.storage import Storage
from jobs import kinds
from jobs.client import JobClient, Submission
from tests.end_to_end.installation import ROOT
from tests.faults import batching

pytestmark = pytest.mark.slow

ITEMS = int(os.environ.get("FAULT_ITEMS", "3000"))
KILLS = int(os.environ.get("FAULT_KILLS", "1"))
WINDOW = 50
SEED = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))  # noqa: S311 - no secret


@contextmanager
def worker(
    address: str, queue: str, folder: Path, *effects: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker's process; killed with SIGKILL at the end, or after so many effects."""
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.batching", queue, str(folder), *effects],
            cwd=ROOT,
            env={**os.environ, "TEMPORAL_ADDRESS": address},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def sent(folder: Path) -> Counter[str]:
    """Return how often each item's effect happened."""
    file = folder / "sent"
    return Counter(file.read_text().split()) if file.exists() else Counter()


async def test_kill_9_repeats_only_items_that_were_being_done(
    client: Client,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kinds, "KINDS", dict(kinds.KINDS))
    monkeypatch.setattr(kinds, "KINDS_BY_WORKFLOW", dict(kinds.KINDS_BY_WORKFLOW))
    batching.register(unique)
    await migrate(f"sqlite:///{tmp_path / 'conveyor.db'}")
    lines = "".join(f"{json.dumps({'name': f'n{number}'})}\n" for number in range(ITEMS))
    await Storage.open(f"file://{tmp_path / 'objects'}").put("list.jsonl", lines.encode())
    jobs, address = JobClient(client), client.service_client.config.target_host
    chosen = random.Random(SEED)  # noqa: S311 - no secret

    batch = await jobs.submit(
        "batch",
        {"kind": "parcel", "items_source": "list.jsonl", "window": WINDOW},
        Submission(key=unique),
    )
    for kill in range(KILLS):
        until = ITEMS * (kill + chosen.random() * 0.8 + 0.1) / KILLS
        left = max(1, int(until) - sent(tmp_path).total())
        with worker(address, unique, tmp_path, str(left)) as victim:
            assert await asyncio.to_thread(victim.wait) == -signal.SIGKILL
    before = sent(tmp_path).total()
    with worker(address, unique, tmp_path):
        job = await jobs.wait(batch.id)

    effects = sent(tmp_path)
    with capsys.disabled():
        sys.stdout.write(
            f"\nseed {SEED}, {KILLS} kills, the last after {before:,} of {ITEMS:,} items: "
            f"lost {ITEMS - len(effects)}, done twice {effects.total() - len(effects)} "
            f"of at most {KILLS * WINDOW} that were being done\n"
        )
    assert job.result is not None
    assert (job.result["completed"], job.result["failed"]) == (ITEMS, 0)
    assert len(effects) == ITEMS
    assert effects.total() - ITEMS <= KILLS * WINDOW
    assert before < ITEMS

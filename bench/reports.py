"""What a sales report costs over its SQL: a year by day against the year before.

A SQLite file of orders; each way is a process of its own: the same queries as plain SQL through
sqlite3, collecting the figures, and the whole report in five formats.
"""

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.database import Database, migrate
from adapters.database.metadata import to_micros
from adapters.database.reports import NO_AUTOMATIC_INDEX, ReportSource, with_days
from adapters.reports.definitions import load
from adapters.reports.renderer import ReportRenderer
from bench.harness import Plan, Row
from jobs.periods import Period
from jobs.reports import GenerateReport, ReportFormat

NAME = "reports"
TITLE = "A sales report over its SQL"

ORDERS, QUICK_ORDERS = 1_000_000, 100_000
MOST_OF_SQL, MOST_OF_WHOLE, FIXED_S, MOST_MIB = 1.2, 3, 1.5, 200
JOB = GenerateReport.model_validate(
    {"type": "sales", "start": "2026-01-01", "end": "2026-12-31", "time_zone": "Europe/Berlin"}
)
START = to_micros(datetime(2024, 12, 31, tzinfo=UTC))
SPAN_S = 2 * 365 * 86_400 + 86_400
ROUNDS = 3


FILL = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
INSERT INTO orders
SELECT 'o' || i, 'c' || (i * 7919 % 20011), 'p' || (i * 31 % 211),
       :start + CAST(i AS INTEGER) * :span / :count * 1000000,
       CASE WHEN i * 13 % 17 < 13 THEN 'paid' WHEN i % 2 THEN 'refunded' ELSE 'pending' END,
       CASE WHEN i * 11 % 23 < 17 THEN 'EUR' ELSE 'USD' END,
       substr('DEFRATNLUS', i * 3 % 5 * 2 + 1, 2),
       substr('web  app  phone', i * 5 % 3 * 5 + 1, 5),
       100 + i * 6151 % 49900, 1 + i % 3
FROM n
"""
"""Orders in the order of time, over the year of the report and the one before."""


async def fill(path: Path, count: int) -> None:
    """Make the database, once."""
    await migrate(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(FILL, {"count": count, "start": START, "span": SPAN_S})
    connection.close()


def statements(period: Period, previous: Period) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the texts and values of all queries of the report."""
    queries = load(JOB.type).queries
    for name, text in queries.items():
        for span in (period, previous) if name in {"daily", "totals"} else (period,):
            edges = [to_micros(edge) for edge in span.edges]
            values = {"start": edges[0], "end": edges[-1], "currency": "EUR", "top_n": JOB.top_n}
            yield (with_days(text, edges) if name == "daily" else text), values


def plain_sql(path: Path) -> None:
    """Run the queries and fetch their rows, nothing else."""
    period = JOB.resolve(datetime.now(UTC), "UTC")
    with sqlite3.connect(path) as connection:
        connection.execute(NO_AUTOMATIC_INDEX)
        for text, values in statements(period, period.previous()):
            connection.execute(text, values).fetchall()
    connection.close()


def collecting(path: Path) -> None:
    """Collect the figures as the job's first step does."""
    asyncio.run(_collect(path))


def whole_report(path: Path) -> None:
    """Collect the figures and render all five formats."""

    async def work() -> None:
        figures = await _collect(path)
        renderer = ReportRenderer("Bench")
        for form in ReportFormat:
            await renderer.render(figures, form)

    asyncio.run(work())


async def _collect(path: Path) -> Any:
    database = Database.open(f"sqlite:///{path}")
    period = JOB.resolve(datetime.now(UTC), "UTC")
    figures = await ReportSource(database).collect(JOB, period, lambda *_: None)
    await database.close()
    return figures


WHOLE = "whole report, 5 formats"
WAYS: dict[str, Callable[[Path], None]] = {
    "plain SQL": plain_sql,
    "collecting": collecting,
    WHOLE: whole_report,
}


def measure(way: str, path: Path) -> dict[str, float]:
    """Run one way in this process: best of the rounds, and the peak of memory."""
    seconds, cpu = [], []
    for _ in range(ROUNDS):
        before, used = time.perf_counter(), time.process_time()
        WAYS[way](path)
        seconds.append(time.perf_counter() - before)
        cpu.append(time.process_time() - used)
    return {"seconds": min(seconds), "cpu": min(cpu), "first_cpu": cpu[0], "rss_mb": peak_mb()}


def peak_mb() -> float:
    """Return the peak memory of this process; VmHWM, since ru_maxrss is inherited over exec."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


async def run(plan: Plan) -> Sequence[Row]:
    """Fill, and measure each way in turn."""
    orders = plan.of(ORDERS, QUICK_ORDERS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        await fill(path, orders)
        raw: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(max(plan.rounds // ROUNDS, 1)):
            for way, found in raw.items():
                found.append(await asyncio.to_thread(in_a_process, way, path))
    best = {way: min(found, key=lambda one: one["cpu"]) for way, found in raw.items()}
    sql, collected, whole = (best[way]["cpu"] for way in WAYS)
    peak = max(one["rss_mb"] for one in raw[WHOLE])
    return [
        Row(
            name=f"collecting over plain SQL, {orders:,} orders, CPU",
            value=collected / sql,
            limit=MOST_OF_SQL,
            detail=f"{collected:.2f} s, {sql:.2f} s",
            raw=raw,
        ),
        Row(
            name=f"five formats over {MOST_OF_WHOLE} x SQL + {FIXED_S} s, CPU",
            value=whole / (MOST_OF_WHOLE * sql + FIXED_S),
            limit=1,
            detail=f"{whole:.2f} s, SQL {sql:.2f} s",
        ),
        Row(name="peak memory of the whole report", value=peak, limit=MOST_MIB, unit="MiB"),
    ]


def in_a_process(way: str, path: Path) -> dict[str, float]:
    """Run one way in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.reports", way, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))

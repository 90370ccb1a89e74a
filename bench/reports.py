"""What a sales report costs over its SQL: ``python -m bench.reports [--orders 1000000]``.

Fills a SQLite file with orders, then measures, each in a process of its own: the same queries as
plain SQL through sqlite3; collecting the figures; the whole report in five formats. Prints a table
of wall time, CPU and peak memory, and the ratios that the project promises.
"""

import argparse
import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.database import Database, migrate
from adapters.database.metadata import to_micros
from adapters.database.reports import NO_AUTOMATIC_INDEX, ReportSource, with_days
from adapters.reports.definitions import load
from adapters.reports.renderer import ReportRenderer
from jobs.periods import Period
from jobs.reports import GenerateReport, ReportFormat

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


WAYS: dict[str, Callable[[Path], None]] = {
    "plain SQL": plain_sql,
    "collecting": collecting,
    "whole report, 5 formats": whole_report,
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


def main() -> None:
    """Fill, measure each way in its own process, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--database", type=Path, help="keep the filled file here")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.database)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.database or Path(folder) / "bench.db"
        if not path.exists():
            asyncio.run(fill(path, options.orders))
        report(path, options.orders)


def report(path: Path, orders: int) -> None:
    """Print what was measured."""
    found = {}
    for way in WAYS:
        command = [sys.executable, "-m", "bench.reports", "--measure", way]
        done = subprocess.run(
            [*command, "--database", str(path)], check=True, capture_output=True, text=True
        )
        found[way] = json.loads(done.stdout)
    sql = found["plain SQL"]["cpu"]
    print(f"{orders:,} orders, a year by day against the year before, SQLite")
    print(f"{'':26}{'wall s':>8}{'CPU s':>8}{'first':>8}{'MB':>7}{'x SQL':>8}")
    for way, numbers in found.items():
        print(
            f"{way:26}{numbers['seconds']:8.2f}{numbers['cpu']:8.2f}{numbers['first_cpu']:8.2f}"
            f"{numbers['rss_mb']:7.0f}{numbers['cpu'] / sql:8.2f}"
        )
    whole = found["whole report, 5 formats"]
    print(f"collecting / SQL: {found['collecting']['cpu'] / sql:.2f} CPU (promised: at most 1.2)")
    print(f"whole report: {whole['cpu']:.2f} s CPU (promised: at most {3 * sql + 1.5:.2f})")
    print(f"peak memory: {whole['rss_mb']:.0f} MB (promised: under 200)")


if __name__ == "__main__":
    main()

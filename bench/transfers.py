"""What imports and exports cost over plain loaders.

Import: an orders file of ten columns through the whole job (inspect, check, upsert with its
ledger, finish) beside the plain loader into the same table: ``.import`` of the ``sqlite3`` shell,
``COPY`` on PostgreSQL. Export: the job's CSV, guarded and with checksum, beside a plain ``COPY TO``
of the table. Each is a process of its own, in turns.
"""

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from activities.exports import ExportActivities
from activities.imports import ImportActivities
from adapters.database import Database, migrate
from adapters.database.shop import orders
from adapters.database.transfers import Exports, Imports
from adapters.storage import Storage
from adapters.transfers import SourceFiles, open_writer
from bench.harness import Plan, Row
from bench.reports import peak_mb
from jobs.exports import ExportData
from jobs.imports import ImportData
from tests.servers import ServerMissingError, postgresql_server
from tests.transfers import environment

NAME = "transfers"
TITLE = "Imports and exports against plain loaders"

ROWS, QUICK_ROWS = 1_000_000, 50_000
MOST_ROUNDS = 3
MOST_MIB = 250
MOST_GROWTH = 1.25
COLUMNS = "id,customer_id,product_id,ordered_at,status,currency,country,channel,amount,quantity"
STORED = ", ".join(column.name for column in orders.c)
PROMISED = {"import": 0.2, "export": 0.5}
LOADERS = {
    ("import", "SQLite"): "`.import`",
    ("import", "PostgreSQL"): "`COPY`",
    ("export", "PostgreSQL"): "`COPY TO`",
}
STATUSES = ("pending", "paid", "refunded", "cancelled")


def write_files(folder: Path, rows: int) -> None:
    """Write an orders file for the job, and one with the stored values for the plain loader."""
    chosen = random.Random(1)  # noqa: S311 (no secret)
    (folder / "objects").mkdir(exist_ok=True)
    with (
        (folder / "objects" / "orders.csv").open("w", newline="") as job,
        (folder / "plain.csv").open("w", newline="") as plain,
    ):
        job.write(f"{COLUMNS}\n")
        for number in range(rows):
            day, second = chosen.randrange(365), chosen.randrange(86_400)
            moment = time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_767_225_600 + day * 86_400 + second)
            )
            micros = (1_767_225_600 + day * 86_400 + second) * 1_000_000
            cents = chosen.randrange(1, 100_000)
            head = f"O-{number:08d},C-{chosen.randrange(50_000):06d},P-{chosen.randrange(500):04d}"
            tail = f"{chosen.choice(STATUSES)},EUR,DE,web"
            quantity = chosen.randrange(1, 9)
            amount = f"{cents // 100}.{cents % 100:02d}"
            job.write(f"{head},{moment},{tail},{amount},{quantity}\n")
            plain.write(f"{head},{micros},{tail},{cents},{quantity}\n")


def sqlite_url(folder: Path) -> str:
    """Return the URL of the bench's SQLite file."""
    return f"sqlite:///{folder / 'bench.db'}"


def plain_import(url: str, folder: Path) -> None:
    """Load the plain file as the database's own loader does."""
    if url.startswith("sqlite"):
        shell = shutil.which("sqlite3")
        if shell is None:
            sys.exit("the bench compares with the `sqlite3` shell: install it")
        script = f".mode csv\n.import {folder / 'plain.csv'} orders\n"
        subprocess.run([shell, folder / "bench.db"], input=script, text=True, check=True)
        return
    statement = f"COPY orders ({STORED}) FROM STDIN (FORMAT csv)"
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
        (folder / "plain.csv").open("rb") as file,
    ):
        while block := file.read(256 * 1024):
            copy.write(block)


def plain_export(url: str, folder: Path) -> None:
    """Write the table as PostgreSQL does."""
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT * FROM orders ORDER BY id) TO STDOUT (FORMAT csv)") as copy,
        (folder / "out.csv").open("wb") as file,
    ):
        for row in copy:
            file.write(row)


async def job_import(url: str, folder: Path) -> None:
    """Import the file as the job's steps do."""
    database = Database.open(url)
    storage = Storage.open(f"file://{folder / 'objects'}")
    steps = ImportActivities(storage, SourceFiles(), Imports(database))
    surroundings = environment("import-bench", "bench")
    plan = await surroundings.run(steps.inspect, ImportData(source="orders.csv", target="orders"))
    await surroundings.run(steps.load, plan)
    result = await surroundings.run(steps.finish, plan)
    if result.inserted != plan.layout.rows:
        sys.exit(f"{result.inserted} rows of {plan.layout.rows} came in")
    await database.close()


async def job_export(url: str, folder: Path) -> None:
    """Export the table as the job's step does."""
    database = Database.open(url)
    storage = Storage.open(f"file://{folder / 'exports'}")
    steps = ExportActivities(storage, Exports(database), open_writer)
    await environment("export-bench", "bench").run(steps.write, ExportData(query="orders"))
    await database.close()


PARTS: dict[str, Callable[[str, Path], Any]] = {
    "plain_import": plain_import,
    "plain_export": plain_export,
    "job_import": lambda url, folder: asyncio.run(job_import(url, folder)),
    "job_export": lambda url, folder: asyncio.run(job_export(url, folder)),
}


async def empty(url: str) -> None:
    """Make the table and the ledgers empty."""
    await migrate(url)
    database = Database.open(url)
    async with database.begin() as connection:
        for table in ("import_rejects", "import_chunks", "imports", "orders"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (our own names)
    await database.close()


def measure(part: str, url: str, folder: Path) -> tuple[float, float]:
    """Run a part in a process of its own; returns seconds and peak memory in MiB."""
    command = [sys.executable, "-m", "bench.transfers", part, url, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def run_part(part: str, url: str, folder: Path) -> None:
    """Carry out a part and print how long it took, and its peak memory."""
    begun = time.perf_counter()
    PARTS[part](url, folder)
    print(json.dumps([time.perf_counter() - begun, peak_mb()]))


@contextmanager
def databases(folder: Path) -> Iterator[Sequence[tuple[str, str]]]:
    """Yield name and URL of every database there is."""
    with ExitStack() as stack:
        found = [("SQLite", sqlite_url(folder))]
        try:
            socket = stack.enter_context(postgresql_server())
            found.append(("PostgreSQL", f"postgresql://postgres@/postgres?host={socket}"))
        except ServerMissingError as error:
            print(error)
        yield found


def compare(
    what: str, name: str, url: str, folder: Path, rows: int, rounds: int
) -> tuple[Row, float]:
    """Measure the job beside the plain loader, in turns; return the row and the peak memory."""
    taken: dict[str, list[tuple[float, float]]] = {"plain": [], "job": []}
    for _ in range(rounds):
        for who, times in taken.items():
            if what == "import":
                asyncio.run(empty(url))
            times.append(measure(f"{who}_{what}", url, folder))
    plain = median(seconds for seconds, _ in taken["plain"])
    job = median(seconds for seconds, _ in taken["job"])
    row = Row(
        name=f"{what} of {rows:,} rows, {name}, rate over {LOADERS[what, name]}",
        value=plain / job,
        limit=PROMISED[what],
        at_least=True,
        detail=f"{rows / job:,.0f} rows/s, {rows / plain:,.0f} rows/s",
        raw=taken,
    )
    return row, max(memory for _, memory in taken["job"])


async def run(plan: Plan) -> Sequence[Row]:
    """Measure a tenth of the rows and then all."""
    return await asyncio.to_thread(measure_all, plan)


def measure_all(plan: Plan) -> Sequence[Row]:
    """Measure, in a thread without a loop: the parts have loops of their own."""
    found, memories = [], {}
    every = plan.of(ROWS, QUICK_ROWS)
    with tempfile.TemporaryDirectory() as top, databases(folder := Path(top)) as there:
        for rows in (every // 10, every):
            write_files(folder, rows)
            for name, url in there:
                for what in ("import", "export") if name == "PostgreSQL" else ("import",):
                    rounds = min(plan.rounds, MOST_ROUNDS)
                    row, memory = compare(what, name, url, folder, rows, rounds)
                    memories[what, name, rows] = memory
                    if rows == every:
                        found.append(row)
    for name, _ in there:
        small, large = memories["import", name, every // 10], memories["import", name, every]
        found += [
            Row(name=f"peak memory of an import, {name}", value=large, limit=MOST_MIB, unit="MiB"),
            Row(
                name=f"memory at 10 times the rows, {name}",
                value=large / small,
                limit=MOST_GROWTH,
                detail=f"{large:.0f} MiB, {small:.0f} MiB",
            ),
        ]
    return found


if __name__ == "__main__":
    run_part(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

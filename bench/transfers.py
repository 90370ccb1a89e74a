"""What imports and exports cost over plain loaders: ``python -m bench.transfers [--rows 1000000]``.

Import: an orders file of ten columns through the whole job (inspect, check, upsert with its
ledger, finish) beside the plain loader into the same table: ``.import`` of the ``sqlite3`` shell,
``COPY`` on PostgreSQL. Export: the job's CSV, guarded and with checksum, beside a plain ``COPY TO``
of the table. Each is a process of its own, in turns; prints rates, peak memory and the ratios that
the project promises.
"""

import argparse
import asyncio
import json
import random
import resource
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
from jobs.exports import ExportData
from jobs.imports import ImportData
from tests.servers import ServerMissingError, postgresql_server
from tests.transfers import environment

COLUMNS = "id,customer_id,product_id,ordered_at,status,currency,country,channel,amount,quantity"
STORED = ", ".join(column.name for column in orders.c)
PROMISED = {"import": 0.2, "export": 0.5}
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
    """Run a part in a process of its own; returns seconds and peak memory in MB."""
    command = [sys.executable, "-m", "bench.transfers", "--part", part, "--url", url]
    done = subprocess.run(
        [*command, "--folder", str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def run_part(part: str, url: str, folder: Path) -> None:
    """Carry out a part and print how long it took, and its peak memory."""
    begun = time.perf_counter()
    PARTS[part](url, folder)
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps([seconds, memory]) + "\n")


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


def compare(what: str, name: str, url: str, folder: Path, rows: int, rounds: int) -> None:
    """Measure the job beside the plain loader, in turns, and print a line of the table."""
    taken: dict[str, list[tuple[float, float]]] = {"plain": [], "job": []}
    for _ in range(rounds):
        for who, times in taken.items():
            if what == "import":
                asyncio.run(empty(url))
            times.append(measure(f"{who}_{what}", url, folder))
    plain = median(seconds for seconds, _ in taken["plain"])
    job = median(seconds for seconds, _ in taken["job"])
    memory = max(memory for _, memory in taken["job"])
    ratio = plain / job
    print(
        f"{what:<8}{name:<12}{rows:>12,}{rows / plain:>14,.0f}{rows / job:>12,.0f}"
        f"{ratio:>8.2f}{PROMISED[what]:>10}{memory:>10.0f}",
        flush=True,
    )


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.url, options.folder)
        return
    print(
        f"{'':<8}{'':<12}{'rows':>12}{'plain rows/s':>14}{'job rows/s':>12}"
        f"{'ratio':>8}{'promised':>10}{'job MB':>10}"
    )
    with tempfile.TemporaryDirectory() as top, databases(folder := Path(top)) as found:
        for rows in (options.rows // 10, options.rows):
            write_files(folder, rows)
            for name, url in found:
                compare("import", name, url, folder, rows, options.rounds)
                if name == "PostgreSQL":
                    compare("export", name, url, folder, rows, options.rounds)


if __name__ == "__main__":
    main()

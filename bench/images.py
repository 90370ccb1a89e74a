"""What an image job costs over Pillow called by hand, and whether many leave anything behind.

A Temporal server and a real ``worker.py``; whole jobs on mosaics of a real photo take turns with
the fastest sequence of Pillow calls that gives the same picture. CPU is the worker's with its
children; the server is not counted. The bomb is a small JPEG of so many scans that it would decode
for long.
"""

import asyncio
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image, ImageOps
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from adapters.storage import Storage
from bench.harness import Plan, Row
from jobs import attributes
from jobs.converter import DATA_CONVERTER
from jobs.images import IMAGE, ImageJob, ImageResult

NAME = "images"
TITLE = "Image jobs over Pillow called by hand"

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "photo.jpg"
SIZES = {"12 MP": (4000, 3000), "48 MP": (8000, 6000)}
TICKS = os.sysconf("SC_CLK_TCK")
STEP_LIMIT_S = 3
MOST_OF_HAND = 1.15
MOST_MIB = 120
GRACE_S = 5
JOBS_OF_GROWTH = 1000
QUICK_JOBS_OF_GROWTH = 60
MOST_GROWTH = 1.05
WIDTH = 1600

RESIZE: Mapping[str, Any] = {"type": "resize", "width": WIDTH}
LEFTOVERS = ("processes", "open files", "scratch files", "intermediates")
JOBS: Mapping[str, list[Mapping[str, Any]]] = {
    "resize": [RESIZE],
    "resize, compress, watermark": [
        RESIZE,
        {"type": "compress", "quality": 82},
        {"type": "watermark", "text": "© Ada"},
    ],
}


def mosaic(width: int, height: int) -> bytes:
    """Return a JPEG of that size, tiled from the photo and its mirror images."""
    with Image.open(PHOTO) as opened:
        tile = opened.convert("RGB")
    canvas = Image.new("RGB", (width, height))
    for row, top in enumerate(range(0, height, tile.height)):
        for column, left in enumerate(range(0, width, tile.width)):
            turned = ImageOps.mirror(tile) if column % 2 else tile
            canvas.paste(ImageOps.flip(turned) if row % 2 else turned, (left, top))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def by_hand(path: Path) -> bytes:
    """Do the same with the fewest Pillow calls: no checks, no storage, no job."""
    with Image.open(path) as image:
        height = round(image.height * WIDTH / image.width)
        image.draft("RGB", (2 * WIDTH, 2 * height))
        small = image.resize((WIDTH, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
        upright = ImageOps.exif_transpose(small)
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=82, progressive=True, optimize=True)
    return buffer.getvalue()


def serve_by_hand() -> None:
    """Answer each path on stdin with the CPU milliseconds of doing it by hand."""
    for line in sys.stdin:
        began = time.process_time()
        by_hand(Path(line.strip()))
        print(1000 * (time.process_time() - began), flush=True)


@dataclass(frozen=True, slots=True)
class Tree:
    """A process and all that came from it, by /proc."""

    pid: int

    def pids(self) -> list[int]:
        """Return the processes that live, the root first."""
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(path.parent.name)] = int(fields[1])
        found = [self.pid]
        for pid in found:  # grows while it is read
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu_s(self) -> float:
        """Return user and system time, of children that ended too."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
        return total / TICKS

    def status(self, pid: int, field: str) -> float:
        """Return a field of /proc/PID/status in MB."""
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def decoders(self) -> list[int]:
        """Return the children that decode: those of the fork server."""
        return [
            pid for pid in self.pids() if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ][1:]


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, a worker and a store."""

    client: Client
    storage: Storage
    folder: Path
    worker: Tree

    async def job(self, source: str, operations: list[Mapping[str, Any]]) -> ImageResult:
        """Run one job to its end."""
        result: ImageResult = await self.client.execute_workflow(
            IMAGE.workflow,
            ImageJob.model_validate({"source": source, "operations": operations}),
            id=f"image-{uuid4()}",
            task_queue=IMAGE.queue,
            result_type=ImageResult,
        )
        return result


def start_worker(variables: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``worker.py`` for image jobs."""
    command = [sys.executable, str(ROOT / "worker.py"), "--queue", "images"]
    with log.open("wb") as out:
        return subprocess.Popen(command, env=variables, stdout=out, stderr=out, cwd=ROOT)


class Hand:
    """A process that does it by hand."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.images"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def cost(self, path: Path) -> float:
        """Return the CPU milliseconds of one picture."""
        if self.process.stdin is None or self.process.stdout is None:
            msg = "started with pipes"
            raise AssertionError(msg)
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    """Start everything, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
            data_converter=DATA_CONVERTER,
            search_attributes=attributes.ALL,
        ) as environment:
            address = environment.client.service_client.config.target_host
            variables = {
                **os.environ,
                "TEMPORAL_ADDRESS": address,
                "CONVEYOR_DATA_DIR": str(folder),
                "CONVEYOR_IMAGE_STEP_LIMIT": f"{STEP_LIMIT_S}s",
            }
            worker = start_worker(variables, folder / "worker.log")
            try:
                storage = Storage.open(f"file://{folder / 'storage'}")
                yield Bench(environment.client, storage, folder, Tree(worker.pid))
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(60)


def median(values: list[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


async def compare(bench: Bench, rounds: int) -> list[Row]:
    """Measure jobs and Pillow by hand in turns."""
    rows = []
    hand = Hand()
    for label, size in SIZES.items():
        path, key = bench.folder / f"{label[:2]}.jpg", f"in/{label[:2]}.jpg"
        path.write_bytes(mosaic(*size))
        await bench.storage.put(key, path.read_bytes())
        costs: dict[str, list[float]] = {name: [] for name in ("by hand", *JOBS)}
        for number in range(rounds + 1):
            took = {"by hand": hand.cost(path)}
            for name, operations in JOBS.items():
                before = bench.worker.cpu_s()
                await bench.job(key, operations)
                took[name] = 1000 * (bench.worker.cpu_s() - before)
            if number:  # the first round warms up
                for name, cost in took.items():
                    costs[name].append(cost)
        base = median(costs["by hand"])
        rows += [
            Row(
                name=f"{name}, {label} to {WIDTH} px, CPU",
                value=median(costs[name]) / base,
                limit=MOST_OF_HAND if len(operations) == 1 else None,
                detail=f"{median(costs[name]):.0f} ms, resize by hand {base:.0f} ms",
                raw=costs,
            )
            for name, operations in JOBS.items()
        ]
    hand.close()
    peak = max(bench.worker.status(pid, "VmHWM") for pid in bench.worker.decoders())
    rows.append(Row(name="peak memory of a decoding child", value=peak, limit=MOST_MIB, unit="MiB"))
    return rows


def scan_bomb(side: int, scans: int) -> bytes:
    """Return a JPEG of few bytes that costs a pass over all its pixels for each scan."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * scans + data[end:]


async def bomb(bench: Bench) -> tuple[float, float]:
    """Return what an attempt on a bomb costs in seconds, and a good job beside it."""
    await bench.storage.put("in/bomb.jpg", scan_bomb(7900, 88))
    await bench.storage.put("in/small.jpg", PHOTO.read_bytes())
    began = time.monotonic()
    doomed = asyncio.ensure_future(bench.job("in/bomb.jpg", [RESIZE]))
    await asyncio.sleep(0.5)
    beside = time.monotonic()
    await bench.job("in/small.jpg", [RESIZE])
    beside = time.monotonic() - beside
    with suppress(WorkflowFailureError):
        await doomed
    return (time.monotonic() - began - 1) / 2, beside  # two attempts, a second apart


def measure(bench: Bench) -> dict[str, float]:
    """Return what must not grow."""
    scratch = bench.folder / "scratch"
    decoders = bench.worker.decoders()
    return {
        "worker MB": round(bench.worker.status(bench.worker.pid, "VmRSS"), 1),
        "largest child MB": round(
            max((bench.worker.status(pid, "VmRSS") for pid in decoders), default=0), 1
        ),
        "processes": len(bench.worker.pids()),
        "open files": len(list(Path(f"/proc/{bench.worker.pid}/fd").iterdir())),
        "scratch files": sum(path.is_file() for path in scratch.glob("**/*")),
        "intermediates": sum(path.is_file() for path in bench.folder.glob("storage/work/**/*")),
    }


async def growth(bench: Bench, count: int) -> list[Row]:
    """Run ``count`` jobs of three steps, two at a time; return what they left behind."""
    await bench.storage.put("in/small.jpg", PHOTO.read_bytes())
    operations = JOBS["resize, compress, watermark"]

    async def some(jobs: int) -> None:
        left = iter(range(jobs))

        async def lane() -> None:
            for _ in left:
                await bench.job("in/small.jpg", operations)

        await asyncio.gather(lane(), lane())

    await some(count // 5)
    before = measure(bench)
    await some(count - count // 5)
    after = measure(bench)
    memory = [numbers["worker MB"] + numbers["largest child MB"] for numbers in (before, after)]
    files = [sum(numbers[name] for name in LEFTOVERS) for numbers in (before, after)]
    return [
        Row(
            name=f"memory after {count:,} jobs over after {count // 5:,}",
            value=memory[1] / memory[0],
            limit=MOST_GROWTH,
            detail=f"{memory[1]:.0f} MiB, {memory[0]:.0f} MiB",
            raw={"before": before, "after": after},
        ),
        Row(
            name="processes, open files and leftovers that came with them",
            value=max(files[1] - files[0], 0),
            limit=2,
            unit="",
            detail=f"{files[1]:.0f}, {files[0]:.0f} before",
        ),
    ]


async def run(plan: Plan) -> Sequence[Row]:
    """Measure in so many interleaved rounds."""
    async with opened() as bench:
        rows = await compare(bench, plan.rounds)
        cost, beside = await bomb(bench)
        rows += [
            Row(
                name=f"an attempt on a bomb, limit {STEP_LIMIT_S} s",
                value=cost,
                limit=STEP_LIMIT_S + GRACE_S,
                unit="s",
            ),
            Row(name="a good job beside the bomb", value=beside, unit="s"),
        ]
        return rows + await growth(bench, plan.of(JOBS_OF_GROWTH, QUICK_JOBS_OF_GROWTH))


if __name__ == "__main__":
    serve_by_hand()

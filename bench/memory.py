"""Whether a worker's memory, children too, grows over image jobs: after 100 and after 500."""

import asyncio
import io
from collections.abc import Sequence

from PIL import Image

from adapters.storage import Storage
from bench.harness import ROOT, Plan, Row, gather_at_most, lab, rss_mib
from jobs.client import JobClient, connect
from jobs.status import JobState

NAME = "memory"
TITLE = "Memory over many image jobs"

EARLY, LATE = 100, 500
QUICK_EARLY, QUICK_LATE = 20, 60
AT_ONCE = 4
SETTLE_S = 2
SOURCE = "bench/small.jpg"
OPERATIONS = [
    {"type": "resize", "width": 240},
    {"type": "watermark", "text": "© Ada"},
    {"type": "compress", "quality": 80},
]


def small_picture() -> bytes:
    """Return a JPEG of 640 x 480."""
    buffer = io.BytesIO()
    Image.effect_noise((640, 480), 40).convert("RGB").save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def run(plan: Plan) -> Sequence[Row]:
    """Run the jobs once; the rounds don't matter here."""
    early, late = plan.of(EARLY, QUICK_EARLY), plan.of(LATE, QUICK_LATE)
    async with lab() as place:
        await Storage.open((place.folder / "data" / "storage").as_uri()).put(
            SOURCE, small_picture()
        )
        with place.process(str(ROOT / "worker.py"), "--queue", "images", ready="ready") as worker:
            jobs = JobClient(await connect(address=place.server.address))
            sizes: dict[int, float] = {}

            async def one() -> None:
                submitted = await jobs.submit("image", {"source": SOURCE, "operations": OPERATIONS})
                done = await jobs.wait(submitted.id)
                if done.state is not JobState.COMPLETED:
                    msg = f"a picture was not made: {done}"
                    raise RuntimeError(msg)

            done = 0
            for mark in range(early, late + 1, early):
                await gather_at_most(mark - done, AT_ONCE, one)
                done = mark
                await asyncio.sleep(SETTLE_S)
                sizes[mark] = rss_mib(worker.pid)
    return [
        Row(
            name=f"image worker's memory, after {late} jobs over after {early}",
            value=sizes[late] / sizes[early],
            limit=1.05,
            detail=f"{sizes[late]:.0f} MiB, {sizes[early]:.0f} MiB",
            raw={str(mark): size for mark, size in sizes.items()},
        )
    ]

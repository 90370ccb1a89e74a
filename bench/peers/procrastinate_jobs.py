"""So many jobs of procrastinate that do nothing: ``python -m bench.peers.procrastinate_jobs``.

Arguments: the conninfo of an empty PostgreSQL database, how many jobs, how many at once. Prints the
seconds from the first submission to the end of the last job.
"""

import asyncio
import sys
import time
from typing import Any

try:
    import procrastinate
except ImportError:
    sys.exit("no procrastinate: install the dependency group `bench`")


async def main(conninfo: str, jobs: int, at_once: int) -> None:
    """Submit in batches, then work until nothing is left."""
    connector = procrastinate.PsycopgConnector(conninfo=conninfo, max_size=20)
    app = procrastinate.App(connector=connector)
    done = 0

    async def count(number: int) -> None:
        nonlocal done
        done += number >= 0

    nothing = app.task(name="nothing", queue="noops")(count)

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        began = time.perf_counter()
        for first in range(0, jobs, 1000):
            last = min(first + 1000, jobs)
            batch: list[dict[str, Any]] = [{"number": number} for number in range(first, last)]
            await nothing.batch_defer_async(*batch)
        await app.run_worker_async(
            queues=["noops"],
            concurrency=at_once,
            wait=False,
            install_signal_handlers=False,
            delete_jobs="never",
        )
        took = time.perf_counter() - began
    if done != jobs:
        msg = f"{done} of {jobs} jobs were done"
        raise RuntimeError(msg)
    print(f"took {took}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

"""The embedded server and nothing else: ``python -m bench.peers.temporal_server FOLDER PORT``."""

import asyncio
import sys
from pathlib import Path

from adapters import devserver


async def main(folder: Path, port: int) -> None:
    """Serve until killed; an earlier run's jobs are still there."""
    async with await devserver.ensure(folder, port=port) as embedded:
        if embedded.server.port != port:
            sys.exit(f"port {port} was taken")
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

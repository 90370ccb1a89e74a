"""The worker's wiring over adapters that are open but never used."""

import asyncio
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from temporalio.client import Client

from equipment import open_adapters
from settings import Settings
from wiring import Wiring, wire


@cache
def wire_everything() -> Sequence[Wiring]:
    """Return what a worker would run, in the order of ``wiring.wire``."""

    async def opened() -> Sequence[Wiring]:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder))
            async with open_adapters(settings) as adapters:
                client = await Client.connect("127.0.0.1:1", lazy=True)
                return wire(adapters, client)

    return asyncio.run(opened())

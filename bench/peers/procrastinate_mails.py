"""Mails as jobs of procrastinate: worker ``procrastinate --app=....procrastinate_mails.app``."""

import asyncio
import os
import sys

from bench.peers.mail import deliver
from bench.peers.orders import submit_at_once_as_told

try:
    import procrastinate
except ImportError:
    sys.exit("no procrastinate: install the dependency group `bench`")

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BROKER_URL"], max_size=20)
)


@app.task(name="send", queue="mails")  # type: ignore[untyped-decorator] # its types are not read
def send(number: int) -> None:
    """Send the mail, in one of the worker's threads."""
    deliver(number)


async def main() -> None:
    """Make the tables where they are missing, and submit."""
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await submit_at_once_as_told(lambda number: send.defer_async(number=number))


if __name__ == "__main__":
    asyncio.run(main())

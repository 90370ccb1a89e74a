"""Mails as jobs of SAQ: worker ``saq bench.peers.saq_mails.settings``."""

import asyncio
import os
import sys
from typing import Any

from bench.peers.mail import deliver
from bench.peers.orders import submit_at_once_as_told

try:
    from saq import Queue
except ImportError:
    sys.exit("no saq: install the dependency group `bench`")

queue = Queue.from_url(os.environ["BROKER_URL"])


def send(_: Any, *, number: int) -> None:
    """Send the mail, in one of the worker's threads."""
    deliver(number)


settings = {"queue": queue, "functions": [send], "concurrency": int(os.environ["AT_ONCE"])}

if __name__ == "__main__":
    asyncio.run(submit_at_once_as_told(lambda number: queue.enqueue("send", number=number)))

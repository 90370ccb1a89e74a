"""Mails as tasks of huey: worker ``huey_consumer bench.peers.huey_mails.huey``."""

import os
import sys

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

try:
    from huey import RedisHuey
except ImportError:
    sys.exit("no huey: install the dependency group `bench`")

huey = RedisHuey("mails", url=os.environ["BROKER_URL"])


@huey.task()  # type: ignore[untyped-decorator] # huey has no types
def send(number: int) -> None:
    """Send the mail."""
    deliver(number)


def main() -> None:
    """Submit when told to; in ``__main__`` the task would not have the name that workers know."""
    submit_as_told(send)

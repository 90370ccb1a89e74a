"""Mails as messages of dramatiq: worker ``dramatiq bench.peers.dramatiq_mails``."""

import os
import sys

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

try:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
except ImportError:
    sys.exit("no dramatiq: install the dependency group `bench`")

dramatiq.set_broker(RedisBroker(url=os.environ["BROKER_URL"]))


@dramatiq.actor  # type: ignore[untyped-decorator] # its types are not read
def send(number: int) -> None:
    """Send the mail."""
    deliver(number)


if __name__ == "__main__":
    submit_as_told(send.send)

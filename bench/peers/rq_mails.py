"""Mails as jobs of RQ: worker ``rq worker-pool mails``."""

import os
import sys

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

try:
    from redis import Redis
    from rq import Queue
except ImportError:
    sys.exit("no rq: install the dependency group `bench`")

if __name__ == "__main__":
    queue = Queue("mails", connection=Redis.from_url(os.environ["BROKER_URL"]))
    submit_as_told(lambda number: queue.enqueue(deliver, number))

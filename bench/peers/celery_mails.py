"""Mails as tasks of Celery: worker ``celery -A bench.peers.celery_mails worker``."""

import os
import sys

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

try:
    from celery import Celery
except ImportError:
    sys.exit("no celery: install the dependency group `bench`")

app = Celery("mails", broker=os.environ["BROKER_URL"])
if "ACKS_LATE" in os.environ:
    app.conf.update(
        task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1
    )


@app.task(name="mails.send", ignore_result=True)  # type: ignore[untyped-decorator] # has no types
def send(number: int) -> None:
    """Send the mail."""
    deliver(number)


if __name__ == "__main__":
    submit_as_told(send.delay)

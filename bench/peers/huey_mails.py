"""Mails as tasks of huey: worker ``huey_consumer bench.peers.huey_mails.huey``."""

import os

from huey import RedisHuey

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

huey = RedisHuey("mails", url=os.environ["BROKER_URL"])


@huey.task()  # type: ignore[untyped-decorator] # huey has no types
def send(number: int) -> None:
    """Send the mail."""
    deliver(number)


if __name__ == "__main__":
    from bench.peers import huey_mails

    # By the name under which the worker knows the task, which `__main__` would not be.
    submit_as_told(huey_mails.send)

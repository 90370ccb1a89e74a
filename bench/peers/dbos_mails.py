"""Mails as workflows of DBOS: worker ``python -m bench.peers.dbos_mails work``."""

import os
import sys
import threading

from bench.peers.mail import deliver
from bench.peers.orders import submit_as_told

try:
    from dbos import DBOS, DBOSClient
except ImportError:
    sys.exit("no dbos: install the dependency group `bench`")

QUEUE = "mails"
URL = os.environ["BROKER_URL"]


@DBOS.workflow(name="send_mail")  # type: ignore[untyped-decorator] # its types are not read
def send_mail(number: int) -> None:
    """Send the mail, in one step."""
    send(number)


@DBOS.step()  # type: ignore[untyped-decorator] # its types are not read
def send(number: int) -> None:
    """Send the mail."""
    deliver(number)


def work() -> None:
    """Serve until killed."""
    DBOS(config={"name": "mails", "system_database_url": URL, "log_level": "WARNING"})
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=int(os.environ["AT_ONCE"]))
    threading.Event().wait()


def submit() -> None:
    """Make the tables where they are missing, and submit when told to."""
    DBOS.migrate(URL)
    client = DBOSClient(system_database_url=URL)
    submit_as_told(
        lambda number: client.enqueue({"queue_name": QUEUE, "workflow_name": "send_mail"}, number)
    )


if __name__ == "__main__":
    work() if sys.argv[1:] == ["work"] else submit()

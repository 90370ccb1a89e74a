"""The queues that send the same mails: how each is started, and what is known of it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.harness import OURS, ROOT
from bench.peers.brokers import Broker, PostgreSQL, Redis, Temporal
from bench.peers.processes import Place
from tests.servers import ServerMissingError

AT_ONCE: Final = 5
"""Mails at once, in one worker of each."""
NODE_PACKAGES: Final = ("bullmq@6.7.0", "ioredis@5.9.2", "nodemailer@10.6.1")
NODE: Final = ("node", "bullmq_mails.mjs")
MODULE: Final = "bench.peers"
NPM_TIMEOUT_S: Final = 180


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A queue with its worker."""

    name: str
    broker: type[Redis | PostgreSQL | Temporal]
    worker: tuple[str, ...]
    producer: tuple[str, ...]
    mails: int
    """How many to measure the rate with; more does not change it."""
    package: str | None = None
    """What must be installed."""
    form: str
    """Of its worker."""
    recovery: str
    """What becomes of a job whose worker was killed, as its documentation and settings have it."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is Conveyor."""
        return self.broker is Temporal

    @property
    def has_lax_setting(self) -> bool:
        """Whether its broker, as it comes, answers before it has written to disk."""
        return self.broker is Redis

    def open_broker(self, place: Place, *, strict: bool) -> Broker:
        """Return its broker, not started yet."""
        if issubclass(self.broker, Redis):
            return self.broker.at(place, strict=strict)
        return self.broker.at(place)

    def require(self) -> None:
        """Raise ``ServerMissingError`` unless its package is here."""
        if self.package is not None and importlib.util.find_spec(self.package) is None:
            msg = f"no {self.package}: install the dependency group `bench`"
            raise ServerMissingError(msg)


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program that a package has installed beside this Python."""
    return (str(Path(sys.executable).parent / name), *arguments)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of the bench."""
    return (sys.executable, "-m", f"bench.{name}", *arguments)


CONVEYOR: Final = Contender(
    name="Conveyor, a job for each",
    broker=Temporal,
    worker=(sys.executable, str(ROOT / "worker.py"), "--queue", "emails"),
    producer=module("peers.conveyor_mails", "email"),
    mails=200,
    form="1 process, asyncio",
    recovery="done again when its heartbeat is missing for 15 s; what went out unanswered is named "
    "unknown",
)
CELERY: Final = Contender(
    name="Celery",
    package="celery",
    broker=Redis,
    worker=program(
        "celery", "-A", f"{MODULE}.celery_mails", "worker", "--concurrency", str(AT_ONCE)
    ),
    producer=module("peers.celery_mails"),
    mails=1_000,
    form="prefork, 5 children",
    recovery="gone, since it is acknowledged before it runs; what was only fetched comes back "
    "after the visibility timeout of an hour",
)

CONTENDERS: Final = (
    CONVEYOR,
    replace(
        CONVEYOR,
        name="Conveyor, a mailing",
        producer=module("peers.conveyor_mails", "mailing"),
        mails=5_000,
    ),
    CELERY,
    replace(
        CELERY,
        name="Celery with acks_late",
        recovery="done again after the visibility timeout of an hour",
        variables={"ACKS_LATE": "1"},
    ),
    Contender(
        name="RQ",
        package="rq",
        broker=Redis,
        worker=program("rq", "worker-pool", "-n", str(AT_ONCE), "mails"),
        producer=module("peers.rq_mails"),
        mails=150,
        form="a pool of 5, a fork for each job",
        recovery="put among the failed jobs by a later clean-up; not done again",
    ),
    Contender(
        name="dramatiq",
        package="dramatiq",
        broker=Redis,
        worker=program(
            "dramatiq", f"{MODULE}.dramatiq_mails", "--processes", "1", "--threads", str(AT_ONCE)
        ),
        producer=module("peers.dramatiq_mails"),
        mails=1_500,
        form="1 process, 5 threads",
        recovery="done again by another worker that looks for it, by chance, after a minute at the "
        "earliest",
    ),
    Contender(
        name="SAQ",
        package="saq",
        broker=Redis,
        worker=program("saq", f"{MODULE}.saq_mails.settings"),
        producer=module("peers.saq_mails"),
        mails=1_500,
        form="1 process, 5 threads",
        recovery="swept as stuck and ended, since one attempt is the default",
    ),
    Contender(
        name="huey",
        package="huey",
        broker=Redis,
        worker=program(
            "huey_consumer", f"{MODULE}.huey_mails.huey", "-w", str(AT_ONCE), "-k", "thread", "-q"
        ),
        producer=(sys.executable, "-c", f"from {MODULE}.huey_mails import main; main()"),
        mails=1_500,
        form="1 process, 5 threads",
        recovery="gone, since it is taken out of the queue before it runs",
    ),
    Contender(
        name="BullMQ",
        broker=Redis,
        worker=(*NODE, "work"),
        producer=NODE,
        mails=2_000,
        form="1 process of node",
        recovery="done again when its lock of 30 s is seen to have run out",
    ),
    Contender(
        name="procrastinate",
        package="procrastinate",
        broker=PostgreSQL,
        worker=program(
            "procrastinate",
            f"--app={MODULE}.procrastinate_mails.app",
            *("worker", "--concurrency", str(AT_ONCE)),
        ),
        producer=module("peers.procrastinate_mails"),
        mails=800,
        form="1 process, 5 threads",
        recovery="left `doing` until a task of your own retries stalled jobs",
    ),
    Contender(
        name="DBOS",
        package="dbos",
        broker=PostgreSQL,
        worker=module("peers.dbos_mails", "work"),
        producer=module("peers.dbos_mails"),
        mails=40,
        form="1 process, 5 threads, which look for jobs once a second, as it comes",
        recovery="done again when its process starts anew",
    ),
)


def environment() -> dict[str, str]:
    """Return the variables of all processes, and none of ours from outside."""
    outside = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    return {**outside, "PYTHONPATH": str(ROOT), "AT_ONCE": str(AT_ONCE)}


def install_bullmq(folder: Path) -> Path:
    """Install what BullMQ's scripts need, and return the folder where they stand.

    Raises:
        ServerMissingError: node is not here, or npm can't install the packages.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        msg = "no node and npm"
        raise ServerMissingError(msg)
    install = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *NODE_PACKAGES]
    try:
        done = subprocess.run(install, check=False, capture_output=True, timeout=NPM_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode != 0:
        msg = f"npm can't install {' and '.join(NODE_PACKAGES)}"
        raise ServerMissingError(msg)
    for script in (ROOT / "bench" / "peers").glob("*.mjs"):
        shutil.copy(script, folder)
    return folder

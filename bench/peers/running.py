"""A contender at work: its broker, its worker, what submits its jobs, and a relay of its own."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from adapters.mail_rendering import MailComposer
from bench.harness import ROOT
from bench.peers.brokers import Broker
from bench.peers.contenders import NODE, Contender, environment, module
from bench.peers.conveyor_mails import MAIL
from bench.peers.mail import BLANK, SENDER
from bench.peers.processes import TAIL, Place, Program
from jobs.emails import Letter

WARM_UP: Final = 20
LOOK_S: Final = 0.02
ANSWER_S: Final = 100
MOST_S: Final = 120
"""How long any number of mails may take to arrive."""


@dataclass(slots=True)
class Arrivals:
    """What the relay has taken, read from its log as it grows."""

    log: Path
    times: dict[int, list[float]] = field(default_factory=dict)
    """When the mail of a number was taken: once, if all is well."""
    _read: int = 0

    def look(self) -> int:
        """Read what is new; return how many different mails there are."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            when, recipient = line.split()
            number = int(recipient.partition("@")[0].removeprefix("job"))
            self.times.setdefault(number, []).append(float(when))
        return len(self.times)

    def last(self, numbers: range) -> float:
        """Return when the last of these mails was first taken."""
        return max(self.times[number][0] for number in numbers)

    @property
    def copies(self) -> int:
        """How many were taken that had been taken before."""
        return sum(len(times) - 1 for times in self.times.values())


@dataclass(slots=True, kw_only=True)
class Running:
    """All of it, alive."""

    contender: Contender
    broker: Broker
    worker: Program
    producer: Program
    arrivals: Arrivals
    submitted: int = 0
    """Mails; they are numbered from 0."""

    def submit(self, count: int) -> range:
        """Tell the producer to submit so many mails; return their numbers at once."""
        numbers = range(self.submitted, self.submitted + count)
        self.submitted += count
        self.producer.input.write(f"{numbers.start} {count}\n")
        self.producer.input.flush()
        return numbers

    def submit_and_know(self, count: int) -> range:
        """As ``submit``, and return when the broker has taken all the jobs."""
        said = self.producer.count("submitted")
        numbers = self.submit(count)
        self.producer.until(lambda: self.producer.count("submitted") > said)
        return numbers

    def until(self, arrived: int) -> None:
        """Return when so many different mails have arrived in all.

        Raises:
            RuntimeError: they don't, or the worker has ended.
        """
        deadline = time.monotonic() + MOST_S
        while self.arrivals.look() < arrived:
            for program in (self.worker, self.producer):
                if program.ended or time.monotonic() > deadline:
                    raise self._missed(arrived, program)
            time.sleep(LOOK_S)

    def arrive(self, arrived: int, stall_s: float) -> bool:
        """Return whether so many different mails arrive in all; not, if none has for so long.

        Raises:
            RuntimeError: the worker has ended.
        """
        seen, since = -1, time.monotonic()
        while (now := self.arrivals.look()) < arrived:
            if self.worker.ended:
                raise self._missed(arrived, self.worker)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > stall_s:
                return False
            time.sleep(LOOK_S)
        return True

    def _missed(self, arrived: int, program: Program) -> RuntimeError:
        said = program.log.read_text(errors="replace")[-TAIL:]
        return RuntimeError(f"{self.arrivals.look()} of {arrived} mails have arrived:\n{said}")

    def named_unknown(self) -> int:
        """Let the producer end; return how many mails the jobs call unknown."""
        if not self.contender.ours:
            return 0
        self.producer.input.close()
        self.producer.until(lambda: self.producer.says("unknown ") is not None, ANSWER_S)
        return int((self.producer.says("unknown ") or "").split()[1])

    def seconds(self, count: int) -> float:
        """Return how long so many mails take, from the first submission to the last arrival."""
        before = time.monotonic()
        numbers = self.submit(count)
        self.until(self.submitted)
        return self.arrivals.last(numbers) - before


@contextmanager
def running(
    contender: Contender, node: Path | None, *, strict: bool, slow_s: float = 0
) -> Iterator[Running]:
    """Start a contender in a folder of its own, and end it when the context does.

    It has sent some mails by then, so that whatever is made when it is first used is there.

    Args:
        contender: Which.
        node: Where BullMQ is installed.
        strict: Whether its broker writes to disk before it answers.
        slow_s: How slow its relay is.

    Raises:
        ServerMissingError: its broker is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as top:
        place = Place(Path(top), environment())
        with place.stack:
            relay_log = place.folder / "relay"
            options = ("--log", str(relay_log), "--slow", str(slow_s))
            relay = place.program("sink", *module("sink", *options))
            relay.start()
            relay.until(lambda: relay.says("port ") is not None)
            port = (relay.says("port ") or "").split()[1]
            mail = place.folder / "mail.eml"
            mail.write_bytes(blank_mail())
            broker = contender.open_broker(place, strict=strict)
            broker.start()
            variables = {
                **contender.variables,
                **broker.variables,
                "MAIL_FILE": str(mail),
                "SMTP_PORT": port,
                "CONVEYOR_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=none",
            }
            worker = place.program("worker", *at(node, contender.worker), variables=variables)
            producer = place.program(
                "producer", *at(node, contender.producer), variables=variables, piped=True
            )
            producer.start()
            producer.until(lambda: producer.says("ready") is not None)
            worker.start()
            one = Running(
                contender=contender,
                broker=broker,
                worker=worker,
                producer=producer,
                arrivals=Arrivals(relay_log),
            )
            one.submit(WARM_UP)
            one.until(WARM_UP)
            yield one


def at(node: Path | None, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command with the path of BullMQ's script."""
    return tuple(str(node / word) if node and word == NODE[1] else word for word in command)


def blank_mail() -> bytes:
    """Return the mail that all send, as our composer makes it, with ``BLANK`` for its number."""
    composer = MailComposer(
        ROOT / "templates" / "mail",
        sender=f"Conveyor <{SENDER}>",
        product="Conveyor",
        public_url="http://127.0.0.1:8000",
    )
    letter = Letter(
        to=f"{BLANK}@example.com",
        template=MAIL["template"],
        locale="en",
        variables={**MAIL["data"], "action_url": None},
        message_id=composer.message_id(BLANK),
        timestamp=time.time(),
    )
    return composer.build(letter)

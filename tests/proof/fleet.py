"""The workers under test, each behind links of its own to the server and to the relay."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.end_to_end.installation import Installation, WorkerProcess
from tests.proof.links import Link, link_to

TRIES: Final = 10
BETWEEN_TRIES_S: Final = 1.0


@dataclass(slots=True)
class Member:
    """One place in the fleet; a worker that is killed is followed by another."""

    name: str
    server: Link
    mail: Link
    installation: Installation
    frozen: bool = False
    afflicted: bool = False
    """Under a fault that lasts: others leave it alone."""
    lives: int = 0
    _worker: WorkerProcess | None = None
    _running: AbstractContextManager[WorkerProcess] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pid(self) -> int | None:
        """Of the worker that runs now."""
        return self._worker.process.pid if self._worker else None

    async def start(self) -> None:
        """Run a worker; return when it is ready."""
        async with self._turn:
            await self._start()

    async def kill(self) -> None:
        """End the worker as a crash would, and have another follow."""
        victim = self._worker
        if victim is not None:
            victim.process.kill()
        async with self._turn:
            if self._worker is victim:
                await self._end()
                await self._start()

    async def settled(self) -> None:
        """Return when no worker of this place is on its way up or down."""
        async with self._turn:
            pass

    async def restart(self) -> None:
        """End the worker as a deployment would, and have another follow."""
        async with self._turn:
            await self._end()
            await self._start()

    async def stop(self) -> None:
        """End the worker."""
        async with self._turn:
            await self._end()

    def freeze(self) -> None:
        """Stop the worker's process where it is."""
        if self._worker is not None and not self.frozen:
            self.frozen = True
            self._worker.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        if self._worker is not None and self.frozen:
            self._worker.process.send_signal(signal.SIGCONT)
        self.frozen = False

    async def _start(self) -> None:
        """Start a worker; one that ends before it is ready is followed as by an orchestrator."""
        for tries_left in reversed(range(TRIES)):
            self.lives += 1
            running = self.installation.worker()
            try:
                self._worker = await asyncio.to_thread(running.__enter__)
            except AssertionError:
                if not tries_left:
                    raise
                await asyncio.sleep(BETWEEN_TRIES_S)
            else:
                self._running = running
                return

    async def _end(self) -> None:
        self.thaw()
        running, self._running, self._worker = self._running, None, None
        if running is not None:
            await asyncio.to_thread(running.__exit__, None, None, None)


@dataclass(slots=True)
class Fleet:
    """All workers."""

    members: Sequence[Member]

    def by_mail_port(self, port: int) -> Member | None:
        """Return whose connection the relay sees coming from ``port``."""
        return next((member for member in self.members if port in member.mail.near), None)

    def choose(self, wanted: int) -> Member:
        """Return the wanted member, or the next that is under no lasting fault."""
        order = [*self.members[wanted:], *self.members[:wanted]]
        return next((member for member in order if not member.afflicted), order[0])


async def open_fleet(
    stack: AsyncExitStack,
    folder: Path,
    common: Mapping[str, str],
    *,
    count: int,
    server_port: int,
    relay_port: int,
    odd_clock: Mapping[str, str],
) -> Fleet:
    """Start so many workers, which end with ``stack``.

    Args:
        stack: Ends the workers and their links.
        folder: Where their logs go.
        common: Variables that they share.
        count: How many.
        server_port: Of the Temporal server.
        relay_port: Of the mail relay.
        odd_clock: Variables by which the first one's clock can be set.
    """
    members = []
    for number in range(count):
        server = await stack.enter_async_context(link_to(server_port))
        mail = await stack.enter_async_context(link_to(relay_port))
        own = {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{server.port}",
            "CONVEYOR_SMTP_URL": f"smtp://127.0.0.1:{mail.port}?tls=none",
            **({} if number else odd_clock),
        }
        home = folder / f"worker-{number}"
        home.mkdir()
        member = Member(f"worker {number}", server, mail, Installation(home, {**common, **own}))
        stack.push_async_callback(member.stop)
        members.append(member)
    await asyncio.gather(*(member.start() for member in members))
    return Fleet(members)

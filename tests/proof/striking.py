"""Carrying out the plan: each strike when so many jobs have ended, or when nothing moves."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from tests.proof.fleet import Member
from tests.proof.links import Link
from tests.proof.peers import Fate
from tests.proof.place import Place
from tests.proof.plan import LONG, Fault, Moment, Strike

LOOK_S: Final = 0.25
STALLED_S: Final = 20.0
"""If no job has ended for so long, the next strike comes although it is not due."""
MOMENT_S: Final = 10.0
"""How long a freeze waits for its moment."""
FULL_LOOKS: Final = 40
"""How often is looked for a job that is held, before the disk has room again."""
SLOW_S: Final = 0.15
FORWARD: Final = timedelta(days=2)


@dataclass(slots=True)
class Striker:
    """Strikes a place by plan and remembers what it did."""

    place: Place
    plan: Sequence[Strike]
    say: Callable[[str], None]
    chance: Random
    done: Counter[Fault] = field(default_factory=Counter)
    skipped: dict[Fault, str] = field(default_factory=dict)
    poisoned: int = 0
    """Workers that the poison job has killed."""
    broken: BaseException | None = None
    """Why a fault could not be carried out."""
    _lasting: set[asyncio.Task[None]] = field(default_factory=set)
    _named: asyncio.Event = field(default_factory=asyncio.Event)
    _stored: asyncio.Event = field(default_factory=asyncio.Event)
    _watched: Member | None = None

    def __post_init__(self) -> None:
        self.place.relay.on_named = self._on_named
        self.place.relay.on_stored = self._on_stored

    async def run(self, ended: Callable[[], int]) -> None:
        """Carry out the plan; return when the last fault is over.

        Args:
            ended: Returns how many jobs have ended so far.
        """
        for strike in self.plan:
            await self._until(strike.after, ended)
            await self._strike(strike)
        while self._lasting:
            await asyncio.wait(self._lasting)

    async def _until(self, count: int, ended: Callable[[], int]) -> None:
        seen, since = ended(), time.monotonic()
        while (now := ended()) < count:
            if now != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > STALLED_S:
                self.say(f"no job has ended for {STALLED_S:g} s at {now}: the next fault comes now")
                return
            await asyncio.sleep(LOOK_S)

    async def _strike(self, strike: Strike) -> None:
        if why := self._impossible(strike.fault):
            self.skipped[strike.fault] = why
            self.say(f"skipped: {strike.fault}: {why}")
            return
        self.done[strike.fault] += 1
        member = self.place.fleet.choose(strike.worker)
        self.say(f"{strike} ({member.name})")
        if strike.fault is Fault.KILL_WORKER:
            self._let_last(self._killed(member))
        elif strike.fault in LONG:
            await self._alone()
            lasting = self._frozen if strike.fault is Fault.FREEZE_WORKER else self._swallowed
            self._let_last(lasting(member, strike))
        else:
            await self._strike_briefly(strike, member)

    async def _strike_briefly(self, strike: Strike, member: Member) -> None:
        """Carry out a fault to its end."""
        match strike.fault:
            case Fault.KILL_SERVER:
                self.place.kill_server()
            case Fault.CUT_SERVER | Fault.SLOW_SERVER:
                async with _afflicted(member):
                    await _disturb(member.server, strike, cut=strike.fault is Fault.CUT_SERVER)
            case Fault.CUT_MAIL | Fault.SLOW_MAIL:
                await _disturb(member.mail, strike, cut=strike.fault is Fault.CUT_MAIL)
            case Fault.CUT_RECEIVER:
                _, _, link = self.chance.choice(self.place.receivers)
                await _disturb(link, strike, cut=True)
            case Fault.FILL_DISK:
                await asyncio.to_thread(self.place.disk.fill)
                await self._until_held(strike.lasts_s)
                self.place.disk.empty()
            case Fault.JUMP_CLOCK:
                self.place.clock.shift(FORWARD)
                await asyncio.sleep(strike.lasts_s)
                self.place.clock.shift(timedelta(0))
            case _:  # a rolling restart
                for each in self.place.fleet.members:
                    if not each.afflicted:
                        await each.restart()

    async def _until_held(self, least_s: float) -> None:
        """Return when a job is held, but not at once and not never."""
        await asyncio.sleep(least_s)
        for _ in range(FULL_LOOKS):
            if await self.place.held():
                return
            await asyncio.sleep(LOOK_S)

    def _impossible(self, fault: Fault) -> str:
        if fault is Fault.FILL_DISK:
            return self.place.disk.small
        if fault is Fault.JUMP_CLOCK:
            return self.place.clock.missing
        return ""

    def _let_last(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._lasting.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._lasting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(f"a fault could not be carried out: {error!r}")
            self.broken = error

    async def _alone(self) -> None:
        """Return when at most one fault that lasts is left."""
        while len(self._lasting) > 1:
            await asyncio.wait(self._lasting, return_when=asyncio.FIRST_COMPLETED)

    async def _killed(self, member: Member) -> None:
        async with _afflicted(member):
            await member.kill()

    async def _poisoned(self, member: Member, port: int) -> None:
        """Kill the worker that named the poison job, unless it has gone by itself."""
        async with _afflicted(member):
            await member.settled()
            if port in member.mail.near:
                self.poisoned += 1
                self.say(f"the poison job kills {member.name}")
                await member.kill()

    async def _frozen(self, member: Member, strike: Strike) -> None:
        async with _afflicted(member):
            moment = {Moment.NAMED: self._named, Moment.SENT: self._stored}.get(strike.moment)
            if moment is not None:
                moment.clear()
                self._watched = member
                try:
                    async with asyncio.timeout(MOMENT_S):
                        await moment.wait()
                except TimeoutError:
                    self.say(f"{member.name} sent no mail in {MOMENT_S:g} s; frozen all the same")
                self._watched = None
            member.freeze()
            await asyncio.sleep(strike.lasts_s)
            member.thaw()

    async def _swallowed(self, member: Member, strike: Strike) -> None:
        async with _afflicted(member):
            member.server.swallow()
            await asyncio.sleep(strike.lasts_s)
            member.server.mend()

    def _on_named(self, port: int, fate: Fate) -> None:
        member = self.place.fleet.by_mail_port(port)
        if member is None:
            return
        if fate is Fate.POISON:
            self._let_last(self._poisoned(member, port))
        elif member is self._watched:
            member.freeze()
            self._named.set()

    def _on_stored(self, port: int) -> None:
        member = self.place.fleet.by_mail_port(port)
        if member is not None and member is self._watched:
            member.freeze()
            self._stored.set()


@asynccontextmanager
async def _afflicted(member: Member) -> AsyncIterator[None]:
    member.afflicted = True
    try:
        yield
    finally:
        member.afflicted = False


async def _disturb(link: Link, strike: Strike, *, cut: bool) -> None:
    if cut:
        link.cut()
    else:
        link.delay_s = SLOW_S
    await asyncio.sleep(strike.lasts_s)
    link.mend()

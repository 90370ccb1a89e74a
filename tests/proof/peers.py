"""The other sides: a relay that treats each recipient as the plan says, and what hears of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session
from typing_extensions import override

from tests.mail_relay import Received, ScriptedRelay

HANG_S: Final = 3.0


class Fate(StrEnum):
    """What the relay does to a mail; all but ``REFUSED`` and ``POISON`` once, then it takes it."""

    TAKEN = "taken"
    REFUSED = "refused"
    LATER = "told to come later"
    RESET = "connection reset"
    HUNG = "never answered, then reset"
    LOST = "taken, answer lost"
    SLOW = "taken, answered late"
    POISON = "kills the worker that names it"


MISBEHAVIOURS: Final = (Fate.LATER, Fate.RESET, Fate.HUNG, Fate.LOST, Fate.SLOW)
FOR_EVER: Final = {Fate.TAKEN, Fate.REFUSED, Fate.POISON}


@dataclass(slots=True)
class Relay(ScriptedRelay):
    """Keeps every mail that it took; tells ``on_named`` and ``on_stored`` from which port."""

    fates: dict[str, Fate] = field(default_factory=dict)
    """By recipient."""
    on_named: Callable[[int, Fate], None] = lambda _port, _fate: None
    on_stored: Callable[[int], None] = lambda _port: None

    def _fate(self, recipient: str, *those: Fate) -> Fate:
        """Return the recipient's fate if it is one of ``those``, and let it happen only once."""
        fate = self.fates.get(recipient, Fate.TAKEN)
        if fate not in those:
            return Fate.TAKEN
        if fate not in FOR_EVER:
            self.fates[recipient] = Fate.TAKEN
        return fate

    @override
    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer the recipient as its fate says."""
        before = (Fate.REFUSED, Fate.LATER, Fate.RESET, Fate.HUNG, Fate.POISON)
        fate = self._fate(address, *before)
        self.on_named(_port_of(session), fate)
        match fate:
            case Fate.REFUSED:
                return "550 5.1.1 no such user"
            case Fate.LATER:
                return "451 4.3.0 try again"
            case Fate.RESET:
                _abort(server)
            case Fate.POISON:
                await asyncio.sleep(3600)  # no answer ever: its worker dies of it
            case Fate.HUNG:
                await asyncio.sleep(HANG_S)
                _abort(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    @override
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the message, and answer as its recipient's fate says."""
        recipient, content = envelope.rcpt_tos[0], envelope.content
        assert isinstance(content, bytes)
        self.received.append(Received(recipient, envelope.mail_from or "", content))
        self.on_stored(_port_of(session))
        match self._fate(recipient, Fate.LOST, Fate.SLOW):
            case Fate.LOST:
                _abort(server)
            case Fate.SLOW:
                await asyncio.sleep(HANG_S)
        return f"250 2.0.0 queued as {len(self.received)}"


def _port_of(session: Session) -> int:
    peer: tuple[str, int] = session.peer  # type: ignore[assignment] # typed as text
    return peer[1]


def _abort(server: SMTP) -> None:
    transport = server.transport
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()

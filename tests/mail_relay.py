"""A mail relay on loopback that answers as a test tells it to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DROP: Final = "drop"
"""In place of a reply: close the connection."""
STALL: Final = "stall"
"""In place of a reply: never answer."""
KEEP_AND_DROP: Final = "keep and drop"
"""In place of a reply to DATA: store the message, then close the connection."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the relay took."""

    recipient: str
    sender: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass(slots=True)
class ScriptedRelay:
    """Replies from its lists, one for each command; then, and by default, accepts."""

    login: list[str] = field(default_factory=list)
    mail: list[str] = field(default_factory=list)
    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    delay_s: float = 0
    """How long a message that was stored waits for its answer."""
    refuse: dict[str, str] = field(default_factory=dict)
    """What is answered to RCPT for these addresses, every time."""
    received: list[Received] = field(default_factory=list)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the relay stopped answering, as ``pause_after`` said."""
    connections: int = 0
    port: int = 0
    logins: list[str] = field(default_factory=list)
    transports: list[asyncio.BaseTransport] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a recipient has been named, before that is answered."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a message has come in, before it is answered."""
    before_answer: tuple[asyncio.Event, asyncio.Event] | None = None
    """Set the first when a message is stored, and answer when the second is set."""
    password: str = "secret"  # noqa: S105 (of this relay only)

    _pause_at: int | None = None
    _going: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def pause_after(self, mails: int) -> None:
        """Take so many mails more, then answer none until ``go_on``."""
        self._pause_at = len(self.received) + mails

    def go_on(self) -> None:
        """Answer again."""
        self._pause_at = None
        self._going.set()

    async def until(self, mails: int) -> None:
        """Return when so many mails have come in."""
        while len(self.received) < mails:
            self._more.clear()
            await self._more.wait()

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Accept the one password."""
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        if self.login:
            return AuthResult(success=False, handled=False, message=self.login.pop(0))
        return AuthResult(success=data.password.decode() == self.password, handled=False)

    async def handle_MAIL(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer the sender."""
        reply = await self._reply(server, self.mail)
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer the recipient."""
        self.asked.set()
        assert server.transport is not None
        self.transports.append(server.transport)
        if address in self.refuse:
            return self.refuse[address]
        reply = await self._reply(server, self.rcpt)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Answer the message, and keep it if that is the answer."""
        keep = not self.data or self.data[0] == KEEP_AND_DROP or self.data[0].startswith("250")
        if keep:
            content = envelope.content
            assert isinstance(content, bytes)
            recipient, sender = envelope.rcpt_tos[0], envelope.mail_from or ""
            self.received.append(Received(recipient, sender, content))
            self._more.set()
        self.arrived.set()
        await asyncio.sleep(self.delay_s)
        if self._pause_at is not None and len(self.received) >= self._pause_at:
            self.paused.set()
            await self._going.wait()
        if self.before_answer is not None:
            self.before_answer[0].set()
            await self.before_answer[1].wait()
        return await self._reply(server, self.data, f"250 2.0.0 queued as {len(self.received)}")

    async def _reply(self, server: SMTP, script: list[str], usual: str = "250 OK") -> str:
        reply = script.pop(0) if script else usual
        if reply == STALL:
            await asyncio.sleep(3600)
        if reply in {DROP, KEEP_AND_DROP}:
            transport = server.transport
            assert transport is not None
            transport.close()
            await asyncio.sleep(3600)
        return reply


@asynccontextmanager
async def mail_relay(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    auth: bool = False,
    smtputf8: bool = True,
    size_limit: int = 33_554_432,
    relay: ScriptedRelay | None = None,
) -> AsyncIterator[ScriptedRelay]:
    """Run a relay on a free port until the body ends."""
    relay = relay or ScriptedRelay()

    def connection() -> SMTP:
        relay.connections += 1
        return SMTP(
            relay,
            hostname="relay.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=auth,
            authenticator=relay.authenticate if auth else None,
            enable_SMTPUTF8=smtputf8,
            data_size_limit=size_limit,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", relay.port, ssl=implicit
    )
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()

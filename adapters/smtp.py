"""Sends mail over a pool of kept SMTP connections.

One message has one recipient. The commands are given one by one, because only so is it known
whether a failure came before the message went out (try again) or after (its fate is unknown). A
connection that anything but a plain answer interrupted is closed: its next answer could belong to
another mail.
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponseException,
)
from temporalio.exceptions import ApplicationError

from adapters.smtp_errors import Phase, shown, translate
from adapters.tracing import span
from jobs.emails import SMTP_DEADLINE, EmailAddressUnsupported, SmtpAnswer

CONNECT_TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 30.0
DATA_TIMEOUT_S: Final = 300.0
"""RFC 5321 asks for patience here: giving up early makes mails whose fate is unknown."""

CHECK_AFTER_IDLE_S: Final = 30.0
MAX_MAILS: Final = 100
MAX_AGE_S: Final = 300.0
"""A connection is retired after so many mails or so long; relays limit both."""

LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
LEAVING: Final = {421, 503}
"""Answers after which a connection is of no more use: going away, out of step."""


class Security(StrEnum):
    """How a connection is protected."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mails are handed over, and as whom."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read ``smtp://user:password@host:587`` or ``smtps://user:password@host:465``.

        Raises:
            ValueError: what is wrong, with the fix; the URL, which may hold a password, is not
                quoted.
        """
        fix = "write smtp://user:password@host:587 or smtps://user:password@host:465"
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise ValueError(f"the port is no number: {fix}") from None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError(f"is no address of a mail relay: {fix}")
        if parts.path.strip("/") or parts.fragment:
            raise ValueError(
                f"nothing may follow the port (write '@', ':' and '/' as %40 ...): {fix}"
            )
        options = dict(parse_qsl(parts.query))
        if unknown := set(options) - {"tls"} or set(options.values()) - {"none"}:
            raise ValueError(f"{min(unknown)!r} is no option; the only one is tls=none")
        plain = "tls" in options
        if plain and (
            parts.scheme == "smtps" or not _is_near(parts.hostname, bool(parts.password))
        ):
            msg = (
                "tls=none would send mails and passwords over the network in the clear: it is for "
                "smtp:// to a relay on this machine, or, without password, to one named without "
                "dots (a neighbouring container)"
            )
            raise ValueError(msg)
        implicit = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=port or (465 if implicit else 25 if plain else 587),
            security=Security.IMPLICIT
            if implicit
            else Security.NONE
            if plain
            else Security.STARTTLS,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


def _is_near(host: str, has_password: bool) -> bool:
    return host in LOOPBACK or ("." not in host and ":" not in host and not has_password)


@dataclass(slots=True)
class Connection:
    """One kept connection and what it has done."""

    smtp: SMTP
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    mails: int = 0

    @property
    def worn(self) -> bool:
        """Whether it has served its time."""
        return self.mails >= MAX_MAILS or time.monotonic() - self.opened_at > MAX_AGE_S


class SmtpMailer:
    """Hands messages to a relay; opens up to ``connections`` connections when they are needed."""

    def __init__(
        self,
        relay: Relay,
        *,
        envelope_sender: str,
        ca_file: Path | None = None,
        connections: int = 5,
        command_timeout_s: float = COMMAND_TIMEOUT_S,
        data_timeout_s: float = DATA_TIMEOUT_S,
    ) -> None:
        self._relay = relay
        self._sender = envelope_sender
        self._command_timeout_s = command_timeout_s
        self._data_timeout_s = data_timeout_s
        self._tls: ssl.SSLContext | None = None
        if relay.security is not Security.NONE:
            self._tls = ssl.create_default_context(cafile=ca_file)
        self._local_name = socket.gethostname()
        self._free = asyncio.Semaphore(connections)
        self._idle: deque[Connection] = deque()

    async def send(
        self, recipient: str, message: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> SmtpAnswer:
        """Send ``message`` to ``recipient`` and return the relay's answer.

        ``before_data`` is awaited when the relay has accepted sender and recipient: the last moment
        at which nothing has gone out. What it raises ends the sending.

        Raises:
            TransientError: nothing went out, and another attempt may succeed.
            EmailRefused: the relay refuses for good; the subclass says what.
            EmailOutcomeUnknown: the message went out and its answer was lost.
        """
        with span("smtp.send", smtp_message_bytes=len(message)) as traced:
            answer = await self._send(recipient, message, before_data)
            traced.set_attribute("smtp.reply.code", answer.code)
            return answer

    async def _send(
        self, recipient: str, message: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> SmtpAnswer:
        phase = Phase.CONNECT
        try:
            async with asyncio.timeout(SMTP_DEADLINE.total_seconds()), self._connection() as smtp:
                phase = Phase.SENDER
                await self._mail(smtp, recipient, len(message))
                phase = Phase.RECIPIENT
                await smtp.rcpt(recipient, encoding=_encoding(recipient))
                await before_data()
                phase = Phase.DATA
                reply = await smtp.data(message, timeout=self._data_timeout_s)
                return SmtpAnswer(reply.code, shown(reply.message))
        except (SMTPException, OSError) as error:
            raise translate(error, phase) from None

    async def check(self) -> str:
        """Connect, log in and return the relay's greeting; for ``starter.py health``.

        Raises:
            TransientError: as ``send``.
        """
        try:
            async with self._connection() as smtp:
                return shown((await smtp.noop()).message)
        except (SMTPException, OSError) as error:
            raise translate(error, Phase.CONNECT) from None

    async def close(self) -> None:
        """Say goodbye on every kept connection."""
        while self._idle:
            connection = self._idle.pop()
            with suppress(SMTPException, OSError):
                await connection.smtp.quit(timeout=2)
            connection.smtp.close()

    async def _mail(self, smtp: SMTP, recipient: str, size: int) -> None:
        options = []
        if smtp.supports_extension("size"):
            options.append(f"SIZE={size}")
        if smtp.supports_extension("8bitmime"):
            options.append("BODY=8BITMIME")
        if not recipient.isascii():
            if not smtp.supports_extension("smtputf8"):
                msg = "the address has letters outside ASCII, and the relay does not speak SMTPUTF8"
                raise EmailAddressUnsupported(msg)
            options.append("SMTPUTF8")
        await smtp.mail(self._sender, options=options, encoding=_encoding(recipient))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        """Lend a connection that answers; it goes back only if its last answer was read."""
        async with self._free:
            connection = await self._take()
            try:
                yield connection.smtp
            except BaseException as error:
                if not await self._reset(connection, error):
                    connection.smtp.close()
                raise
            finally:
                connection.mails += 1
                connection.used_at = time.monotonic()
                if connection.smtp.is_connected:
                    self._idle.append(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.worn:
                with suppress(SMTPException, OSError):
                    await connection.smtp.quit(timeout=2)
            elif time.monotonic() - connection.used_at > CHECK_AFTER_IDLE_S:
                with suppress(SMTPException, OSError):
                    await connection.smtp.noop()
                    return connection
            elif connection.smtp.is_connected:
                return connection
            connection.smtp.close()
        return Connection(await self._open())

    async def _open(self) -> SMTP:
        relay = self._relay
        smtp = SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.security is Security.IMPLICIT,
            start_tls=relay.security is Security.STARTTLS,
            tls_context=self._tls,
            timeout=self._command_timeout_s,
            local_hostname=self._local_name,
        )
        async with asyncio.timeout(CONNECT_TIMEOUT_S + self._command_timeout_s):
            await smtp.connect(timeout=min(CONNECT_TIMEOUT_S, self._command_timeout_s))
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
        return smtp

    async def _reset(self, connection: Connection, error: BaseException) -> bool:
        """Make a connection ready for the next mail; return whether that went well."""
        smtp = connection.smtp
        answered = isinstance(error, SMTPResponseException) and error.code not in LEAVING
        # Raised between two answers, by ``before_data`` or before MAIL: the relay waits for us.
        between = isinstance(error, ApplicationError)
        if not smtp.is_connected or not (answered or between):
            return False
        with suppress(SMTPException, OSError):
            await smtp.rset()
            return True
        return False


def _encoding(recipient: str) -> str:
    return "ascii" if recipient.isascii() else "utf-8"

"""What the steps of mail jobs need from outside."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from jobs.emails import LedgerEntry, Letter, ResetStanding, SmtpAnswer, Standing
from jobs.users import User


class Mailer(Protocol):
    """Hands messages to a relay, or writes them down."""

    async def send(
        self, recipient: str, message: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> SmtpAnswer:
        """Send ``message``; ``before_data`` is awaited when nothing has gone out for the last time.

        Raises:
            TransientError: nothing went out.
            EmailRefused: refused for good.
            EmailOutcomeUnknown: it went out and the answer was lost.
        """
        ...


class Composer(Protocol):
    """Turns letters into bytes."""

    def message_id(self, seed: str) -> str:
        """Return a Message-ID."""
        ...

    async def compose(self, letter: Letter) -> bytes:
        """Return the message; raises ``EmailNotComposed``."""
        ...


class Ledger(Protocol):
    """What was sent, and to whom nothing is sent."""

    async def look(self, key: str, address_hash: str, list_name: str | None) -> Standing:
        """Return how a message stands and whether its address is suppressed."""
        ...

    async def claim(
        self, fresh: LedgerEntry, *, address_hash: str, template: str, seen: LedgerEntry | None
    ) -> LedgerEntry | None:
        """Claim a message; None if another was faster."""
        ...

    async def settle(self, entry: LedgerEntry, *, suppress: str | None = None) -> None:
        """Record what came of a claim."""
        ...

    async def note(
        self,
        entry: LedgerEntry,
        *,
        address_hash: str,
        template: str,
        suppress: str | None = None,
    ) -> None:
        """Record a refusal of a message that was never claimed."""
        ...

    async def refusals(self, address_hash: str, error: str, within: timedelta) -> int:
        """Return how many messages to an address were refused with ``error`` of late."""
        ...


class Resets(Protocol):
    """Requests to reset a password."""

    async def prepare(
        self, *, request_id: str, subject: str, token_hash: str, expires_at: datetime
    ) -> ResetStanding:
        """Make a link valid and older ones void; return how it stands."""
        ...


class UserDirectory(Protocol):
    """Who can be written to by id."""

    async def find(self, user_id: str) -> User | None:
        """Return the user, or None."""
        ...


class Files(Protocol):
    """Where attachments lie."""

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object; raises ``ObjectNotFound`` or ``ObjectTooLarge``."""
        ...

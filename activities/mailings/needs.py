"""What the steps of mailing jobs need from outside."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from jobs.files import StoredObject
from jobs.mailings import Address, MailingEntry, Outcome


class Book(Protocol):
    """The ledger of one mailing while a chunk of it is sent."""

    async def claim(self, entry: MailingEntry) -> bool:
        """Write a recipient's next state durably; False if someone else was faster."""
        ...

    def settle(self, entry: MailingEntry) -> None:
        """Record what came of a claim, soon."""
        ...


class Ledger(Protocol):
    """The ledger of all mailings."""

    async def open(self, key: str, run_id: str) -> str:
        """Return the name under which a mailing's recipients stand in the ledger."""
        ...

    async def finish(self, mailing: str, run_id: str) -> None:
        """Close a mailing."""
        ...

    def book(self, mailing: str, *, together: int = 1) -> AbstractAsyncContextManager[Book]:
        """Open a mailing; what was settled is written when the context ends."""
        ...

    async def known(
        self, mailing: str, hashes: Sequence[str], list_name: str
    ) -> tuple[Mapping[str, MailingEntry], set[str]]:
        """Return what stands of these recipients, and who of them is suppressed."""
        ...

    async def note(self, mailing: str, entries: Sequence[MailingEntry]) -> None:
        """Record outcomes of recipients to whom nothing is sent."""
        ...

    async def bounced(self, address_hash: str, source: str) -> None:
        """Send nothing more to an address that does not exist."""
        ...

    async def outcomes(self, mailing: str, position: int, count: int) -> Mapping[int, MailingEntry]:
        """Return a stretch of the ledger by position."""
        ...

    async def counts(self, mailing: str) -> Mapping[Outcome, int]:
        """Return how many recipients have which outcome."""
        ...


class Directory(Protocol):
    """Lists and addresses."""

    def all_users(self) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of everyone, in pages."""
        ...

    async def addresses(self, user_ids: Sequence[str]) -> Mapping[str, Address]:
        """Return where these users can be written to, those that there are."""
        ...


class Writer(Protocol):
    """An object that is being written."""

    async def write(self, data: bytes) -> None:
        """Append."""
        ...


class Files(Protocol):
    """Where lists and outcomes lie."""

    async def put(self, key: str, data: bytes, *, create: bool = False) -> StoredObject:
        """Write a whole object."""
        ...

    def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield an object's bytes from ``start`` on; raises ``ObjectNotFound``."""
        ...

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of an object, or None."""
        ...

    def writer(self, key: str) -> AbstractAsyncContextManager[Writer]:
        """Write an object piece by piece; nothing is there if the body raises."""
        ...

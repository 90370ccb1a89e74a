"""Links to stored files that work for a time without a key."""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote, urlencode

from api.problems import ApiError


class LinkingStore(Protocol):
    """What is needed from storage."""

    async def download_url(self, key: str, ttl: timedelta) -> str | None:
        """Return a link of the store's own, or None if it has none."""
        ...


@dataclass(frozen=True, slots=True)
class FileLinks:
    """Makes links and verifies them: HMAC-SHA256 over key and expiry."""

    secret: bytes = field(repr=False)
    storage: LinkingStore
    ttl: timedelta
    clock: Callable[[], float] = time.time

    async def to(self, key: str) -> str:
        """Return a link to ``key``: the store's own where it has such, else one of ours."""
        theirs = await self.storage.download_url(key, self.ttl)
        return theirs or self.ours(key)

    def ours(self, key: str) -> str:
        """Return a link to ``key`` through this API."""
        expires = int(self.clock() + self.ttl.total_seconds())
        query = urlencode({"expires": expires, "signature": self._sign(key, expires)})
        return f"/v1/files/{quote(key)}?{query}"

    def verify(self, key: str, expires: int, signature: str) -> None:
        """Refuse a link that is not ours, or over.

        Raises:
            ApiError: 403.
        """
        genuine = hmac.compare_digest(self._sign(key, expires).encode(), signature.encode())
        if not genuine or expires < self.clock():
            raise ApiError(403, "this link has expired or is not one of ours; ask for a new one")

    def _sign(self, key: str, expires: int) -> str:
        derived = hmac.digest(self.secret, b"conveyor:file-link", hashlib.sha256)
        return hmac.new(derived, f"{expires}:{key}".encode(), hashlib.sha256).hexdigest()

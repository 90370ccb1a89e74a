"""Bearer tokens of an identity provider, accepted beside keys: JWT, by settings.

The provider's keys are read when they are first needed, again when they are old, and when a token
names one that is not among them, as after a rotation. While the provider is away the keys that are
known go on being used; a token whose key is not known can't be judged then, and its bearer is told
to come again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt

from jobs.access import OWNER_PATTERN, Scope
from jobs.errors import TransientError

log: Final = logging.getLogger(__name__)

KEYS_KEPT_S: Final = 300
"""How long the provider's keys are used before they are read anew."""
UNKNOWN_KEY_WAIT_S: Final = 10
"""Shortest time between two readings, whatever key ids strangers name and however they end."""
LEEWAY_S: Final = 30
FETCH_TIMEOUT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that matters here."""

    owner: str
    scopes: frozenset[Scope]


class TokenRefused(Exception):
    """The token is not one of the provider's, not for us, or over."""


class ProviderKeysMissing(TransientError):
    """The provider's keys can't be read, so that a token can't be judged."""


@dataclass(slots=True)
class TokenVerifier:
    """Verifies tokens against the provider's published keys."""

    issuer: str
    audience: str
    source: str
    """``https:`` address or path of the JWKS."""
    algorithms: list[str]
    owner_claim: str = "sub"
    scope_claim: str = "scope"
    clock: Callable[[], float] = time.monotonic
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            TokenRefused: anything is wrong with it; the caller is told no more than that.
            ProviderKeysMissing: its key is not known, and the provider's can't be read.
        """
        try:
            head = jwt.get_unverified_header(token)
            key = await self._key(str(head.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=self.algorithms,
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", self.owner_claim]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise TokenRefused(type(error).__name__) from None
        return self._claims(claims)

    def _claims(self, claims: dict[str, Any]) -> Claims:
        owner = claims[self.owner_claim]
        if not isinstance(owner, str) or not OWNER_PATTERN.fullmatch(owner):
            raise TokenRefused(self.owner_claim)
        given = claims.get(self.scope_claim, [])
        words = given.split() if isinstance(given, str) else given
        named = {str(word) for word in words} if isinstance(words, list) else set()
        scopes = frozenset(scope for scope in Scope if scope.value in named)
        return Claims(owner, scopes)

    async def _key(self, key_id: str) -> jwt.PyJWK:
        async with self._lock:
            now = self.clock()
            wanted = key_id not in self._keys or now - self._read_at > KEYS_KEPT_S
            if wanted and now - self._tried_at > UNKNOWN_KEY_WAIT_S:
                await self._refresh()
        if key_id in self._keys:
            return self._keys[key_id]
        if self._read_at < self._tried_at:
            msg = "the identity provider's keys can't be read"
            raise ProviderKeysMissing(msg)
        raise TokenRefused("kid")

    async def _refresh(self) -> None:
        self._tried_at = self.clock()
        try:
            self._keys = await asyncio.to_thread(self._read)
        except (jwt.PyJWTError, ValueError, OSError) as error:
            log.warning(
                "the identity provider's keys can't be read",
                extra={"reason": type(error).__name__, "known": len(self._keys)},
            )
        else:
            self._read_at = self._tried_at

    def _read(self) -> dict[str, jwt.PyJWK]:
        if self.source.startswith("https:"):
            client = jwt.PyJWKClient(self.source, timeout=FETCH_TIMEOUT_S, cache_jwk_set=False)
            found = client.get_jwk_set()
        else:
            found = jwt.PyJWKSet.from_json(Path(self.source).read_text())
        return {key.key_id or "": key for key in found.keys}

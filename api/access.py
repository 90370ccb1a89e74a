"""Who calls: the key or token of a request, its owner and scopes, and how often it may submit."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from adapters.database.access import ApiKeys
from api.problems import ApiError
from api.tokens import TokenRefused, TokenVerifier
from jobs.access import ApiKey, Scope, key_id_of, matches
from jobs.errors import TransientError

log: Final = logging.getLogger(__name__)

KEPT_S: Final = 5.0
"""How long a key that was looked up is not looked up again: a revoked one works no longer."""
KEPT_KEYS: Final = 1000
NO_HASH: Final = "0" * 64
BURST_S: Final = 60.0

SCOPES_GIVEN: Final = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.ADMIN: frozenset(Scope),
}

bearer: Final = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key, `sk_...`, from `starter.py keys create`; or a token of the identity "
    "provider that the service is set up for.",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    owner: str
    scopes: frozenset[Scope]
    name: str
    """What its rate is counted under."""

    @property
    def sees(self) -> str | None:
        """The owner whose jobs the caller sees; None for all."""
        return None if Scope.ADMIN in self.scopes else self.owner

    def require(self, scope: Scope) -> None:
        """Refuse a caller without that scope."""
        if scope not in self.scopes:
            detail = f"this needs the scope {scope}"
            headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise ApiError(403, detail, headers=headers)


def caller_with(owner: str, scopes: frozenset[Scope], name: str) -> Caller:
    """Return a caller with the scopes given, and those that they include."""
    return Caller(owner, frozenset().union(*(SCOPES_GIVEN[scope] for scope in scopes)), name)


class Gate:
    """Knows callers by what they present."""

    def __init__(
        self,
        keys: ApiKeys,
        tokens: TokenVerifier | None = None,
        *,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self.tokens = tokens
        self._kept_s = kept_s
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, ApiKey, str]] = OrderedDict()
        self._notes: set[asyncio.Task[None]] = set()

    async def identify(self, presented: str) -> Caller:
        """Return who presents that key or token.

        Raises:
            ApiError: 401; it says the same whatever is wrong.
        """
        key_id = key_id_of(presented)
        if key_id is None:
            return await self._of_token(presented)
        found = await self._find(key_id)
        genuine = matches(presented, found[1] if found else NO_HASH)
        if found is None or not genuine or not found[0].usable(datetime.now(UTC)):
            raise no_valid_key()
        return _caller(found[0])

    async def of_key(self, key_id: str) -> Caller | None:
        """Return who has that key, if it is still good; for sessions that began with it."""
        found = await self._find(key_id)
        if found is None or not found[0].usable(datetime.now(UTC)):
            return None
        return _caller(found[0])

    async def _of_token(self, presented: str) -> Caller:
        if self.tokens is None or presented.count(".") != 2:  # noqa: PLR2004 (a JWT's parts)
            raise no_valid_key()
        try:
            claims = await self.tokens.verify(presented)
        except TokenRefused as error:
            log.info("a token was refused", extra={"reason": str(error)})
            raise no_valid_key() from None
        return caller_with(claims.owner, claims.scopes, f"token:{claims.owner}")

    async def _find(self, key_id: str) -> tuple[ApiKey, str] | None:
        kept = self._known.get(key_id)
        if kept is not None and self._clock() - kept[0] < self._kept_s:
            return kept[1], kept[2]
        found = await self._keys.find(key_id)
        if found is None:
            self._known.pop(key_id, None)
            return None
        self._known[key_id] = (self._clock(), *found)
        if len(self._known) > KEPT_KEYS:
            self._known.popitem(last=False)
        if found[0].usable(datetime.now(UTC)):
            note = asyncio.create_task(self._note(key_id))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)
        return found

    async def _note(self, key_id: str) -> None:
        try:
            await self._keys.note_use(key_id, datetime.now(UTC))
        except TransientError:
            log.warning("the use of a key could not be noted")

    async def close(self) -> None:
        """Let what is being noted be noted."""
        await asyncio.gather(*self._notes)


def _caller(key: ApiKey) -> Caller:
    return caller_with(key.owner, frozenset(key.scopes), key.id)


def no_valid_key() -> ApiError:
    """Return the one refusal of callers who are not known."""
    detail = "send a valid key: Authorization: Bearer sk_..."
    return ApiError(401, detail, headers={"WWW-Authenticate": "Bearer"})


@dataclass(slots=True)
class Rates:
    """How many submissions each key has left: it fills at a rate, up to a minute's worth."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, name: str, count: int = 1) -> None:
        """Count submissions; what a large one takes too much is paid back before the next.

        Raises:
            ApiError: 429, with the time after which there is one left.
        """
        most = max(1.0, self.per_second * BURST_S)
        now = self.clock()
        left, then = self._left.pop(name, (most, now))
        left = min(most, left + (now - then) * self.per_second)
        self._left[name] = (left - count if left >= 1 else left, now)
        if len(self._left) > KEPT_KEYS:
            self._left.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) / self.per_second + 0.5))
            detail = f"too many submissions with this key: {self.per_second:g} a second are allowed"
            raise ApiError(429, detail, headers={"Retry-After": str(wait)})


async def identified(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return who calls; every route of the API but the open ones depends on it."""
    if credentials is None:
        raise no_valid_key()
    gate: Gate = request.app.state.services.gate
    return await gate.identify(credentials.credentials)


async def _reader(caller: Annotated[Caller, Depends(identified)]) -> Caller:
    caller.require(Scope.READ)
    return caller


async def _writer(caller: Annotated[Caller, Depends(identified)]) -> Caller:
    caller.require(Scope.WRITE)
    return caller


async def _admin(caller: Annotated[Caller, Depends(identified)]) -> Caller:
    caller.require(Scope.ADMIN)
    return caller


Reader = Annotated[Caller, Depends(_reader)]
Writer = Annotated[Caller, Depends(_writer)]
Admin = Annotated[Caller, Depends(_admin)]

"""Sessions of the page for people: a signed cookie that names the key someone signed in with.

The cookie holds no key, and is worth nothing once the key is revoked. Forms carry a token made from
the cookie, so that no other site can send them.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

COOKIE: Final = "conveyor_session"
LASTS_S: Final = 12 * 3600
SHAPE: Final = re.compile(r"([a-z0-9]{12})\.(\d{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who is signed in."""

    key_id: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and reads the cookie."""

    secret: bytes = field(repr=False)
    secure: bool
    """Send it over HTTPS only."""
    clock: Callable[[], float] = time.time

    def begin(self, response: Response, key_id: str) -> None:
        """Sign someone in."""
        body = f"{key_id}.{int(self.clock()) + LASTS_S}.{secrets.token_hex(8)}"
        response.set_cookie(
            COOKIE,
            f"{body}.{self._mac('session', body)}",
            max_age=LASTS_S,
            httponly=True,
            secure=self.secure,
            samesite="lax",
        )

    def end(self, response: Response) -> None:
        """Sign someone out."""
        response.delete_cookie(COOKIE, httponly=True, secure=self.secure, samesite="lax")

    def read(self, cookie: str | None) -> Session | None:
        """Return who a cookie stands for, or None if it is not one of ours, or over."""
        match = SHAPE.fullmatch(cookie or "")
        if match is None or cookie is None:
            return None
        body = cookie.rpartition(".")[0]
        genuine = hmac.compare_digest(self._mac("session", body), match[4])
        if not genuine or int(match[2]) < self.clock():
            return None
        return Session(key_id=match[1], csrf=self._mac("form", body))

    def _mac(self, use: str, text: str) -> str:
        derived = hmac.digest(self.secret, f"conveyor:{use}".encode(), hashlib.sha256)
        return hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()

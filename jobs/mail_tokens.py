"""Secrets that mails carry, derived from one key and never stored.

Each use has a key of its own (HMAC-SHA256 of the secret with the use's name), so that a token of
one use is worth nothing in another. The API verifies what the email jobs sign.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

TAG_BYTES: Final = 16
HASH_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What a one-click link stands for: no address, only its hash."""

    list_name: str
    address_hash: str


@dataclass(frozen=True, slots=True)
class MailTokens:
    """Derives and verifies, with one secret key."""

    secret: bytes = field(repr=False)

    def address_hash(self, address: str) -> str:
        """Return what ledgers and lists keep of an address; letter case makes no difference."""
        digest = self._mac("address", address.strip().lower().encode())
        return digest[:HASH_BYTES].hex()

    def reset_token(self, request_id: str) -> str:
        """Return the token of a password reset: 43 characters, the same at every attempt."""
        return _text(self._mac("password-reset", request_id.encode()))

    def unsubscribe_token(self, list_name: str, address: str) -> str:
        """Return what identifies list and recipient in a link, and can't be guessed or altered."""
        body = f"{self.address_hash(address)}.{list_name}".encode()
        return f"{_text(body)}.{_text(self._mac('unsubscribe', body)[:TAG_BYTES])}"

    def read_unsubscribe_token(self, token: str) -> Unsubscription | None:
        """Return what a token stands for, or None if it is not one of ours."""
        encoded, _, tag = token.partition(".")
        try:
            body, given = _bytes(encoded), _bytes(tag)
        except ValueError:
            return None
        if not hmac.compare_digest(given, self._mac("unsubscribe", body)[:TAG_BYTES]):
            return None
        address_hash, _, list_name = body.decode().partition(".")
        return Unsubscription(list_name=list_name, address_hash=address_hash)

    def _mac(self, use: str, message: bytes) -> bytes:
        return hmac.digest(_key(self.secret, use), message, "sha256")


@lru_cache(maxsize=16)
def _key(secret: bytes, use: str) -> bytes:
    """Return the key of one use; a mailing needs it three times for each mail."""
    return hmac.digest(secret, f"conveyor:{use}".encode(), "sha256")


def reset_token_hash(token: str) -> str:
    """Return what the database keeps of a reset token; look a presented one up by it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return what ``_text`` made ``text`` of; raises ``ValueError`` for any other spelling."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        msg = "not as it was written"
        raise ValueError(msg)
    return data

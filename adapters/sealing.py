"""Keeps secrets encrypted at rest: AES-256-GCM under a key derived from the installation's own.

Who reads the database alone, or a backup of it, learns no signing key. Each secret is bound to its
place, so that a row copied over another's opens nothing.
"""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jobs.errors import PermanentError

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class SecretUnreadable(PermanentError):
    """A stored secret can't be opened."""


class SecretBox:
    """Seals and opens short texts.

    Args:
        key: The installation's secret, at least 32 bytes.
        purpose: What the derived key is for; other purposes can't open it.
    """

    def __init__(self, key: bytes, purpose: str) -> None:
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key)
        self._cipher = AESGCM(derived)

    def seal(self, text: str, place: str) -> bytes:
        """Return ``text`` encrypted for ``place``, such as a row's id."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Return what was sealed for ``place``; raises ``SecretUnreadable``."""
        nonce, data = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, data, place.encode()).decode()
        except InvalidTag:
            msg = (
                "a stored secret was sealed under another CONVEYOR_SECRET_KEY: put that one back, "
                "or rotate the endpoint's key"
            )
            raise SecretUnreadable(msg) from None

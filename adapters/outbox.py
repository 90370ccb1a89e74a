"""Where mails go that no relay is set for: one ``.eml`` file each, in a folder.

A file is named by its Message-ID, which is the same at every attempt of a job, so that writing
again overwrites the same mail.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from jobs.emails import SmtpAnswer

MESSAGE_ID: Final = re.compile(rb"^Message-ID: <([A-Za-z0-9_-]{1,128})[.@]", re.MULTILINE)
ACCEPTED: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """One mail in the folder."""

    name: str
    """File name without ``.eml``."""
    to: str
    subject: str
    written_at: datetime
    size_bytes: int


class Outbox:
    """Takes messages as a relay would, and shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def send(
        self, recipient: str, message: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> SmtpAnswer:
        """Write ``message`` to the folder; ``recipient`` is in its To header."""
        del recipient
        await before_data()
        name = await asyncio.to_thread(self.write, message)
        return SmtpAnswer(ACCEPTED, f"written to {name}.eml")

    async def check(self) -> str:
        """Return where the mails are, once the folder can be written."""
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        return f"no relay is set: mails are written to {self.folder}"

    async def close(self) -> None:
        """Nothing is open."""

    def write(self, message: bytes) -> str:
        """Write ``message`` in one act, readable by its owner only; return its name."""
        match = MESSAGE_ID.search(message[:4096])
        name = match[1].decode() if match else hashlib.sha256(message).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{name}.eml"
        half = path.with_suffix(".part")
        half.touch(mode=0o600)
        half.write_bytes(message)
        half.replace(path)
        return name

    def entries(self) -> Sequence[OutboxEntry]:
        """Return every mail, the newest first."""
        files = [(path, path.stat()) for path in self.folder.glob("*.eml")]
        found = []
        for path, stat in sorted(files, key=lambda pair: pair[1].st_mtime_ns, reverse=True):
            mail = self.read(path.stem)
            found.append(
                OutboxEntry(
                    name=path.stem,
                    to=str(mail["To"] or ""),
                    subject=str(mail["Subject"] or ""),
                    written_at=datetime.fromtimestamp(stat.st_mtime, UTC),
                    size_bytes=stat.st_size,
                )
            )
        return found

    def read(self, name: str) -> EmailMessage:
        """Return one mail.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        if name != Path(name).name:
            raise FileNotFoundError(name)
        content = (self.folder / f"{name.removesuffix('.eml')}.eml").read_bytes()
        return message_from_bytes(content, policy=policy.default)

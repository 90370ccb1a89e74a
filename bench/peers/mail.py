"""What each peer's job does: hand a finished message to the relay over a kept connection.

The message is one that our composer made; only its number is filled in, in the address and in the
Message-ID. So peers are spared what our own jobs do for each mail: fill the template in and build
the message. The connection is kept by thread, which spares them a connection a mail, too.
"""

import os
import smtplib
import threading
from functools import cache
from pathlib import Path
from typing import Final

SENDER: Final = "jobs@example.com"
BLANK: Final = "job000000"
"""What stands in the message where its number belongs."""

_kept: Final = threading.local()


def numbered(number: int) -> str:
    """Return what stands for ``BLANK`` in the mail of that number."""
    return f"job{number:06}"


def deliver(number: int) -> None:
    """Send the mail of that number."""
    name = numbered(number)
    message = _message().replace(BLANK.encode(), name.encode())
    _connection().sendmail(SENDER, [f"{name}@example.com"], message)


@cache
def _message() -> bytes:
    return Path(os.environ["MAIL_FILE"]).read_bytes()


def _connection() -> smtplib.SMTP:
    smtp: smtplib.SMTP | None = getattr(_kept, "smtp", None)
    if smtp is None:
        smtp = _kept.smtp = smtplib.SMTP("127.0.0.1", int(os.environ["SMTP_PORT"]))
    return smtp

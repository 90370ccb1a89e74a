"""Where mails go: to the relay that the settings name, or into the outbox."""

from pathlib import Path

from adapters.outbox import Outbox
from adapters.smtp import Relay, SmtpMailer


def open_mailer(
    url: str | None,
    *,
    outbox: Path,
    envelope_sender: str,
    ca_file: Path | None = None,
    connections: int = 5,
) -> SmtpMailer | Outbox:
    """Return what sends mails; connections to a relay are made when they are first needed.

    Args:
        url: The relay, as in ``CONVEYOR_SMTP_URL``; None writes mails to files.
        outbox: Folder of those files.
        envelope_sender: Address to which bounces go.
        ca_file: PEM file of the authority that signed the relay's certificate.
        connections: Most connections to the relay at once.

    Raises:
        ValueError: ``url`` is no relay.
    """
    if url is None:
        return Outbox(outbox)
    return SmtpMailer(
        Relay.parse(url),
        envelope_sender=envelope_sender,
        ca_file=ca_file,
        connections=connections,
    )

"""The doors that parse bytes: each takes any bytes and raises what it documents, or nothing.

A target lets every other exception through: that is a finding. The same targets run under atheris
(``make fuzz``), over the kept corpus, and over what hypothesis makes of it.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from adapters.imaging import sniffing
from adapters.imaging.reading import check_scans, check_signature
from adapters.imaging.refusal import Refusal
from adapters.transfers import SourceFiles
from jobs.imports import ImportData, ImportHeaderInvalid, ImportSourceInvalid
from jobs.imports.plan import Meter
from jobs.mail_tokens import MailTokens
from jobs.schedules.cron import Cron
from jobs.signatures.schemes import Encoding, Headers, MalformedRequest, Scheme, SignatureRefused
from jobs.webhooks.parsing import identify, parse_body, read_occurred_at
from jobs.webhooks.sources import WebhookSource

NOW: Final = 1_800_000_000
SCANS: Final = 100
SECRETS: Final = [SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
SOURCES: Final = (
    *(WebhookSource(scheme=scheme, secrets=SECRETS) for scheme in Scheme if scheme != "generic"),
    *(
        WebhookSource(
            scheme=Scheme.GENERIC,
            secrets=SECRETS,
            signature_header="x-signature",
            signature_encoding=encoding,
            event_id_pointer="/event/id",
            event_type_pointer="/event/type",
        )
        for encoding in Encoding
    ),
)
IMPORTS: Final = tuple(
    ImportData(source=f"uploads/a.{kind}", target="customers") for kind in ("csv", "tsv", "jsonl")
)


def split(data: bytes) -> tuple[Headers, bytes]:
    """Read ``name: value`` lines up to an empty one as headers, the rest as the body."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    pairs = [line.partition(": ")[::2] for line in lines if ": " in line]
    return Headers(pairs), body


def signatures(data: bytes) -> None:
    """Every scheme on one request; none may accept it, since nobody signed it."""
    headers, body = split(data)
    for source in SOURCES:
        try:
            source.verify(headers, body, NOW)
        except (MalformedRequest, SignatureRefused):
            continue
        msg = f"{source.scheme}: a request that nobody signed was accepted"
        raise AssertionError(msg)


def webhook_bodies(data: bytes) -> None:
    """Strict JSON, and what each scheme reads from it."""
    headers, body = split(data)
    with suppress(MalformedRequest):
        parsed = parse_body(body)
        read_occurred_at(parsed)
        for source in SOURCES:
            with suppress(MalformedRequest):
                identify(source, headers, body, parsed)


def import_files(data: bytes) -> None:
    """Format, encoding, delimiter, header and rows of a file to import."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "source")
        file.write_bytes(data)
        for job in IMPORTS:
            with suppress(ImportSourceInvalid, ImportHeaderInvalid):
                SourceFiles().inspect(file, job, Path(folder), Meter())


def image_headers(data: bytes) -> None:
    """The first bytes of a picture, and the walk over the scans of a JPEG."""
    with suppress(Refusal):
        check_signature(data[: sniffing.LOOK], len(data), "source")
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            check_scans(Path(file.name), SCANS, "source")


def unsubscribe_tokens(data: bytes) -> None:
    """Links that mails carry; nobody can make one up."""
    token = data.decode("latin-1")
    assert MailTokens(b"k" * 32).read_unsubscribe_token(token) is None


def cron_lines(data: bytes) -> None:
    """When a schedule fires."""
    with suppress(ValueError):
        Cron.parse(data.decode("utf-8", "replace"))


DOORS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "signatures": signatures,
    "webhook-bodies": webhook_bodies,
    "import-files": import_files,
    "image-headers": image_headers,
    "unsubscribe-tokens": unsubscribe_tokens,
    "cron-lines": cron_lines,
}

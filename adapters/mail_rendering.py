"""Turns a letter into the bytes of a message.

A template is MJML for HTML and plain text beside it, in ``templates/mail/<language>/``. MJML is
compiled once per process and template; what is compiled is a Jinja template, rendered per mail in a
sandbox where a missing variable is an error. ``[[ ]]`` and ``[% %]`` are read at compilation
(layout and blocks), ``{{ }}`` and ``{% %}`` per mail.
"""

import asyncio
from dataclasses import dataclass, field
from email.header import Header
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Final

import dkim
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape
from mjml import mjml2html

from adapters import mime
from jobs.emails import EmailNotComposed, Letter, MailTemplateMissing

FALLBACK: Final = "en"
SUBJECT: Final = "Subject: "
IN_THREAD_BYTES: Final = 256 * 1024
"""Attachments above this size are encoded beside the event loop."""

SIGNED_HEADERS: Final = (
    b"From",
    b"To",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"MIME-Version",
    b"Content-Type",
    b"Auto-Submitted",
    b"List-Id",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
)


@dataclass(frozen=True, slots=True)
class DkimSigner:
    """Signs messages (RFC 6376) where the relay does not."""

    selector: str
    domain: str
    key_pem: str = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return ``message`` with a DKIM-Signature at its head."""
        try:
            signature: bytes = dkim.sign(
                message,
                self.selector.encode(),
                self.domain.encode(),
                self.key_pem.encode(),
                include_headers=[
                    name for name in SIGNED_HEADERS if b"\r\n" + name + b":" in b"\r\n" + message
                ],
            )
        except dkim.DKIMException as error:
            msg = "CONVEYOR_DKIM_KEY: no signature can be made with it"
            raise EmailNotComposed(msg) from error
        return signature + message


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template in one language, ready to render."""

    html: Template
    text: Template


class MailComposer:
    """Renders templates and builds messages."""

    def __init__(
        self,
        folder: Path,
        *,
        sender: str,
        product: str,
        public_url: str,
        signer: DkimSigner | None = None,
    ) -> None:
        """Prepare; templates are compiled when they are first used.

        Args:
            folder: ``templates/mail``.
            sender: The From header, ``Name <address>``.
            product: The name that mails show.
            public_url: What links in mails begin with.
            signer: Signs each message, if the relay doesn't.
        """
        name, self.sender_address = parseaddr(sender)
        self.domain = self.sender_address.rpartition("@")[2]
        self._from = f"{_phrase(name)} <{self.sender_address}>" if name else self.sender_address
        self._folder = folder
        self._signer = signer
        self._public_url = public_url.rstrip("/")
        self._everywhere = {"product": product, "public_url": self._public_url}
        self._sources = Environment(
            loader=FileSystemLoader(folder),
            autoescape=False,  # noqa: S701 (puts our own layout and blocks together, no values)
            block_start_string="[%",
            block_end_string="%]",
            variable_start_string="[[",
            variable_end_string="]]",
            comment_start_string="[#",
            comment_end_string="#]",
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        sandbox = partial(
            ImmutableSandboxedEnvironment,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._html = sandbox(autoescape=True)
        self._html.filters["breaks"] = breaks
        self._text = sandbox(autoescape=False)
        self._compiled: dict[tuple[str, str], Compiled] = {}

    def message_id(self, seed: str) -> str:
        """Return the Message-ID for a mail whose identity is ``seed``."""
        return f"<{seed}.job@{self.domain}>"

    async def compose(self, letter: Letter) -> bytes:
        """Return the message.

        Raises:
            MailTemplateMissing: a file of the template is not there.
            EmailNotComposed: the template is broken, or can't be filled with the letter's
                variables.
        """
        size = sum(len(attachment.content) for attachment in letter.attachments)
        if self._signer is not None or size > IN_THREAD_BYTES:
            return await asyncio.to_thread(self.build, letter)
        return self.build(letter)

    def build(self, letter: Letter) -> bytes:
        """As ``compose``, at once."""
        variables = {**self._everywhere, **letter.variables}
        unsubscribe = ""
        if letter.unsubscribe_token:
            unsubscribe = f"{self._public_url}/v1/unsubscribe/{letter.unsubscribe_token}"
        compiled = self.compiled(letter.template, letter.locale)
        try:
            first, _, text = compiled.text.render(variables, unsubscribe_url=unsubscribe).partition(
                "\n"
            )
            subject = first.removeprefix(SUBJECT).strip()
            html = compiled.html.render(variables, unsubscribe_url=unsubscribe, subject=subject)
        except TemplateError as error:
            msg = f"template {letter.template!r} ({letter.locale}): {error}"
            raise EmailNotComposed(msg) from None
        headers = [
            mime.header("From", self._from),
            mime.header("To", letter.to, words=not letter.to.isascii()),
            mime.header("Subject", subject, words=True),
            mime.header("Date", mime.rfc5322_date(letter.timestamp)),
            mime.header("Message-ID", letter.message_id),
            mime.header("Auto-Submitted", "auto-generated"),
        ]
        if letter.list_name:
            headers += self._list_headers(letter.list_name, unsubscribe)
        seed = letter.message_id.strip("<>").partition(".")[0]
        message = mime.message(headers, text.lstrip("\n"), html, letter.attachments, seed=seed)
        return self._signer.sign(message) if self._signer else message

    def _list_headers(self, list_name: str, unsubscribe: str) -> list[str]:
        headers = [
            mime.header("List-Id", f"<{list_name}.{self.domain}>"),
            mime.header("Precedence", "bulk"),
        ]
        if unsubscribe:
            headers += [
                mime.header("List-Unsubscribe", f"<{unsubscribe}>"),
                mime.header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        return headers

    def language(self, name: str, locale: str) -> str:
        """Return the language in which there is a template for ``locale``: ``de`` for ``de-AT``."""
        for candidate in (locale, locale.partition("-")[0].lower()):
            if (self._folder / candidate / f"{name}.txt").is_file():
                return candidate
        return FALLBACK

    def compiled(self, name: str, locale: str) -> Compiled:
        """Return a template, compiled on first use."""
        if (known := self._compiled.get((name, locale))) is not None:
            return known
        language = self.language(name, locale)
        compiled = self._compiled.get((name, language)) or self._compile(name, language)
        self._compiled[name, language] = self._compiled[name, locale] = compiled
        return compiled

    def _compile(self, name: str, language: str) -> Compiled:
        try:
            source = self._sources.get_template(f"{language}/{name}.mjml").render(language=language)
            text = self._sources.get_template(f"{language}/{name}.txt").render(language=language)
            return Compiled(
                html=self._html.from_string(mjml2html(source)), text=self._text.from_string(text)
            )
        except TemplateNotFound as error:
            msg = f"template {name!r}: the file {error.name!r} is missing from templates/mail"
            raise MailTemplateMissing(msg) from None
        except TemplateError as error:
            msg = f"template {name!r} ({language}): {error}"
            raise EmailNotComposed(msg) from None


def breaks(text: str) -> Markup:
    """Return ``text`` escaped, with its line breaks kept."""
    return Markup("<br>\n").join(escape(line) for line in text.splitlines())


def _phrase(name: str) -> str:
    """Return a display name as it stands in a header."""
    if not name.isascii():
        return Header(name, "utf-8").encode()
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

"""``starter.py outbox``: the mails that were written instead of sent, or caught by ``dev``."""

import sys
from typing import Annotated

import typer

import exits
from cli import output
from jobs import wording

app = typer.Typer(help="Read the mails in the outbox.", no_args_is_help=True)


@app.command("list")
def list_mails(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the mails, newest first."""
    from dataclasses import asdict

    import settings as environment
    from adapters.outbox import Outbox

    mails = Outbox(environment.load().outbox).entries()
    if as_json:
        output.print_json([asdict(mail) for mail in mails])
        return
    rows = [
        (mail.name, mail.to, mail.subject, wording.ago(mail.written_at), f"{mail.size_bytes:,}")
        for mail in mails
    ]
    output.print_rows(("NAME", "TO", "SUBJECT", "WRITTEN", "BYTES"), rows)
    if not mails:
        output.say("no mail there")


@app.command("show")
def show_mail(
    name: Annotated[str, typer.Argument(help="Name of the mail, as `outbox list` shows it.")],
    html: Annotated[bool, typer.Option("--html", help="Print the HTML part.")] = False,
) -> None:
    """Print the headers and text of a mail, or its HTML part."""
    import settings as environment
    from adapters.outbox import Outbox

    try:
        mail = Outbox(environment.load().outbox).read(name)
    except FileNotFoundError:
        output.say(f"error: no mail {name!r} in the outbox; `starter.py outbox list` shows them")
        raise typer.Exit(exits.NOT_FOUND) from None
    body = mail.get_body(("html",) if html else ("plain",))
    if not html:
        for header in ("From", "To", "Subject", "Date", "Message-ID"):
            sys.stdout.write(f"{header}: {mail[header] or ''}\n")
        for attachment in mail.iter_attachments():
            sys.stdout.write(f"Attachment: {attachment.get_filename()}\n")
        sys.stdout.write("\n")
    sys.stdout.write(body.get_content() if body is not None else "")

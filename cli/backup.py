"""``starter.py backup``: a copy of the data folder."""

from pathlib import Path
from typing import Annotated

import typer

from cli import output


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, which is made.")],
) -> None:
    """Copy the data folder while everything runs: jobs, database, files, mails, the secret.

    Put back in place of the data folder, with nothing running, the copy is one. What lies elsewhere
    (CONVEYOR_DATABASE_URL, CONVEYOR_STORAGE_URL, a Temporal server of your own) is not in it.
    """
    import settings as environment
    from adapters.backup import back_up
    from opening import KEY_FILE

    settings = environment.load()
    data = settings.data_dir
    database = data.absolute() / "conveyor.db" if settings.database_url is None else None
    stored = [] if settings.storage_url else [data / "storage"]
    files = [*stored, settings.outbox, data / KEY_FILE]
    for copied in back_up(data, folder, database=database, files=files):
        output.say(f"{copied.part}: {copied.size_bytes:,} bytes")
    if database is None:
        output.say("the database is elsewhere: copy it now, after this (docs/operate/backup.md)")
    if settings.storage_url:
        output.say("files are elsewhere: copy them after the database")

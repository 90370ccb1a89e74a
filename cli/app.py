"""The commands of ``starter.py``; each lives in the module of its noun."""

from typing import Annotated

import typer

from cli import endpoints, exports, imports, keys, outbox, receive, schedules
from cli.backup import backup
from cli.demo import demo
from cli.dev import dev
from cli.encryption import encryption_key
from cli.ending import cancel, delete, terminate
from cli.explaining import explain
from cli.holding import hold, release
from cli.items import items
from cli.jobs import logs, open_job, promote, reschedule, result, status
from cli.kinds import show_kinds
from cli.listing import list_jobs, stats
from cli.pruning import prune
from cli.queues import limits_app, pause, queues, resume
from cli.reference import show_settings
from cli.retrying import redrive, retry
from cli.submit import submit
from cli.system import health, setup
from jobs._version import __version__

app = typer.Typer(
    name="starter.py",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"Conveyor {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Submit durable background jobs, follow them, act on them."""


WORK = "Jobs"
LOOK = "Looking around"
RUN = "Running Conveyor"

app.command("submit", rich_help_panel=WORK)(submit)
app.command("status", rich_help_panel=WORK)(status)
app.command("logs", rich_help_panel=WORK)(logs)
app.command("result", rich_help_panel=WORK)(result)
app.command("open", rich_help_panel=WORK)(open_job)
app.command("explain", rich_help_panel=WORK)(explain)
app.command("cancel", rich_help_panel=WORK)(cancel)
app.command("terminate", rich_help_panel=WORK)(terminate)
app.command("retry", rich_help_panel=WORK)(retry)
app.command("redrive", rich_help_panel=WORK)(redrive)
app.command("delete", rich_help_panel=WORK)(delete)
app.command("hold", rich_help_panel=WORK)(hold)
app.command("release", rich_help_panel=WORK)(release)
app.command("reschedule", rich_help_panel=WORK)(reschedule)
app.command("promote", rich_help_panel=WORK)(promote)
app.command("list", rich_help_panel=LOOK)(list_jobs)
app.command("items", rich_help_panel=LOOK)(items)
app.command("stats", rich_help_panel=LOOK)(stats)
app.command("queues", rich_help_panel=LOOK)(queues)
app.command("kinds", rich_help_panel=LOOK)(show_kinds)
app.command("receive", rich_help_panel=WORK)(receive.receive)
app.add_typer(imports.app, name="imports", rich_help_panel=LOOK)
app.add_typer(exports.app, name="exports", rich_help_panel=LOOK)
app.add_typer(endpoints.app, name="endpoints", rich_help_panel=WORK)
app.add_typer(receive.app, name="inbound", rich_help_panel=WORK)
app.add_typer(outbox.app, name="outbox", rich_help_panel=LOOK)
app.command("settings", rich_help_panel=RUN)(show_settings)
app.command("health", rich_help_panel=RUN)(health)
app.command("setup", rich_help_panel=RUN)(setup)
app.command("prune", rich_help_panel=RUN)(prune)
app.command("backup", rich_help_panel=RUN)(backup)
app.command("demo", rich_help_panel=RUN)(demo)
app.command("dev", rich_help_panel=RUN)(dev)
app.command("pause", rich_help_panel=RUN)(pause)
app.command("resume", rich_help_panel=RUN)(resume)
app.add_typer(limits_app, name="limits", rich_help_panel=RUN)
app.add_typer(keys.app, name="keys", rich_help_panel=RUN)
app.command("encryption-key", rich_help_panel=RUN)(encryption_key)
app.add_typer(schedules.app, name="schedules", rich_help_panel=RUN)

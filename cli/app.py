"""The commands of ``starter.py``; each lives in the module of its noun."""

import typer

from cli import demo, dev, jobs, kinds, listing, submit, system

app = typer.Typer(
    name="starter.py",
    help="Submit durable background jobs, follow them, act on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WORK = "Jobs"
LOOK = "Looking around"
RUN = "Running Conveyor"

app.command("submit", rich_help_panel=WORK)(submit.submit)
app.command("status", rich_help_panel=WORK)(jobs.status)
app.command("logs", rich_help_panel=WORK)(jobs.logs)
app.command("result", rich_help_panel=WORK)(jobs.result)
app.command("open", rich_help_panel=WORK)(jobs.open_job)
app.command("cancel", rich_help_panel=WORK)(jobs.cancel)
app.command("list", rich_help_panel=LOOK)(listing.list_jobs)
app.command("stats", rich_help_panel=LOOK)(listing.stats)
app.command("kinds", rich_help_panel=LOOK)(kinds.show_kinds)
app.command("health", rich_help_panel=RUN)(system.health)
app.command("setup", rich_help_panel=RUN)(system.setup)
app.command("demo", rich_help_panel=RUN)(demo.demo)
app.command("dev", rich_help_panel=RUN)(dev.dev)

"""``starter.py schedules``: what runs when."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import output
from cli.session import Session, run
from jobs import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.schedules.client import ScheduleClient, ScheduleInfo

COLUMNS: Final = ("SCHEDULE", "WHEN", "ZONE", "STARTS", "NEXT", "LAST", "ALERT")
FILE_NAME: Final = "schedules.toml"
SHIPPED: Final = Path(__file__).resolve().parents[1] / FILE_NAME
SHOWN: Final = 5
"""Firings in a preview."""
app = typer.Typer(no_args_is_help=True, help="What runs when: apply, look, pause, make up for.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Don't ask.")]


def _client(session: Session) -> "ScheduleClient":
    from jobs.schedules.client import ScheduleClient

    return ScheduleClient(session.jobs.temporal)


def default_file() -> Path:
    """Return ``schedules.toml`` of the current folder, else the shipped one."""
    here = Path(FILE_NAME)
    return here if here.exists() else SHIPPED


@app.command("list")
def list_schedules(as_json: Json = False) -> None:
    """List schedules, with the next run, the last one, and any that went wrong."""

    async def command(session: Session) -> "Sequence[ScheduleInfo]":
        return await _client(session).list()

    infos = run(command)
    if as_json:
        output.print_json([info.model_dump(mode="json") for info in infos])
        return
    output.print_rows(COLUMNS, [_row(info) for info in infos])
    if not infos:
        output.say("no schedules; `starter.py schedules apply` makes those of schedules.toml")


def _row(info: "ScheduleInfo") -> tuple[object, ...]:
    from jobs.schedules.client import local_words

    last = info.runs[0] if info.runs else None
    upcoming = local_words(info.next[0], info.time_zone) if info.next else ""
    return (
        info.id,
        info.cron,
        info.time_zone,
        info.starts,
        f"paused: {info.note}" if info.paused else upcoming,
        f"{last.state}, {wording.ago(last.nominal)}" if last else "",
        "; ".join(alarm.words() for alarm in info.alarms),
    )


@app.command()
def apply(
    file: Annotated[
        Path | None, typer.Argument(help="Default: schedules.toml here, else the shipped one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Make the server's schedules those of a file; equal ones stay untouched."""
    from jobs.schedules import read_schedules

    wanted = read_schedules(file or default_file())
    changes = run(lambda session: _client(session).apply(wanted, dry_run=dry_run))
    if as_json:
        output.print_json([change.model_dump(mode="json") for change in changes])
        return
    verbs = {"unknown": "not in the file"}
    output.print_rows(
        ("SCHEDULE", "ACTION", "CHANGES"),
        [
            (change.id, verbs.get(change.action, change.action), "; ".join(change.differences))
            for change in changes
        ],
    )
    for change in changes:
        for warning in change.warnings:
            output.say(f"warning: {change.id}: {warning}")
    if dry_run:
        output.say("nothing was changed (--dry-run)")


@app.command()
def show(schedule_id: Id, as_json: Json = False) -> None:
    """Show one schedule, its next firings and its latest runs."""

    async def command(session: Session) -> "ScheduleInfo":
        return await _client(session).show(schedule_id)

    info = run(command)
    if as_json:
        output.print_json(info)
        return
    from jobs.schedules.client import local_words

    facts = {
        "schedule": info.id,
        "description": info.description,
        "when": info.cron,
        "zone": info.time_zone,
        "starts": info.starts,
        "paused": info.note if info.paused else None,
        "dropped, server away": info.missed or None,
        "dropped, run before went on": info.skipped or None,
    }
    facts |= {
        f"next {number}": local_words(moment, info.time_zone)
        for number, moment in enumerate(info.next[:SHOWN], start=1)
    }
    facts |= {
        local_words(each.nominal, info.time_zone): f"{each.state} {each.job_id or ''}".strip()
        for each in info.runs
    }
    output.print_facts(facts)


@app.command()
def pause(
    schedule_id: Id,
    reason: Annotated[str, typer.Option(help="Why; shown in lists.")],
) -> None:
    """Start nothing until it is resumed."""
    run(lambda session: _client(session).pause(schedule_id, reason))
    output.say(f"{schedule_id} is paused")


@app.command()
def resume(schedule_id: Id) -> None:
    """Start runs again from now on."""
    run(lambda session: _client(session).resume(schedule_id))
    output.say(f"{schedule_id} goes on; what was due meanwhile can be made up for with backfill")


@app.command()
def trigger(schedule_id: Id) -> None:
    """Run it now, also while it is paused."""
    run(lambda session: _client(session).trigger(schedule_id))
    output.say(f"{schedule_id} was started; `starter.py schedules show {schedule_id}` follows it")


@app.command()
def backfill(
    schedule_id: Id,
    since: Annotated[str, typer.Option("--from", help="First local day, or an instant.")],
    until: Annotated[str, typer.Option("--to", help="Last local day, or an instant; included.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    yes: Yes = False,
) -> None:
    """Make up for the past: run for every nominal time of a range."""

    async def plan(session: Session) -> "tuple[ScheduleInfo, Sequence[datetime]]":
        client = _client(session)
        info = await client.show(schedule_id)
        times = await client.preview(schedule_id, *_range(info, since, until))
        return info, times

    info, times = run(plan)
    _print_times(info, times)
    if dry_run or not times:
        output.say(f"{len(times)} runs; nothing was started")
        return
    if not yes:
        typer.confirm(f"Start {len(times)} runs?", abort=True, err=True)
    run(lambda session: _client(session).backfill(schedule_id, *_range(info, since, until)))
    output.say(f"{len(times)} runs were started")


@app.command()
def preview(
    schedule_id: Id,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many firings.")] = SHOWN,
    since: Annotated[
        str | None, typer.Option("--from", help="First local day, or an instant. Default: now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the next firings on the clocks of the schedule's zone, with their offsets."""

    async def command(session: Session) -> "tuple[ScheduleInfo, Sequence[datetime]]":
        from datetime import UTC

        client = _client(session)
        info = await client.show(schedule_id)
        start = _range(info, since, since)[0] if since else datetime.now(UTC)
        return info, await client.upcoming(schedule_id, start, count)

    info, times = run(command)
    if as_json:
        output.print_json({"time_zone": info.time_zone, "times": [t.isoformat() for t in times]})
    else:
        _print_times(info, times)


@app.command()
def delete(schedule_id: Id, yes: Yes = False) -> None:
    """Delete a schedule; what runs goes on."""
    if not yes:
        typer.confirm(f"Delete {schedule_id}?", abort=True, err=True)
    run(lambda session: _client(session).delete(schedule_id))
    output.say(f"{schedule_id} is deleted")


def _print_times(info: "ScheduleInfo", times: "Sequence[datetime]") -> None:
    from jobs.schedules.client import local_words

    output.print_rows(
        (f"IN {info.time_zone}", "IN UTC"),
        [(local_words(moment, info.time_zone), f"{moment:%Y-%m-%dT%H:%MZ}") for moment in times],
    )


def _range(info: "ScheduleInfo", since: str, until: str) -> tuple[datetime, datetime]:
    """Return the instants of a range of local days, both included, or of instants."""
    from datetime import date

    from jobs.periods import DAY, day_start, zone
    from jobs.times import parse_instant

    place = zone(info.time_zone)
    try:
        start = day_start(date.fromisoformat(since), place)
    except ValueError:
        start = parse_instant("from", since)
    try:
        end = day_start(date.fromisoformat(until) + DAY, place) - timedelta(seconds=1)
    except ValueError:
        end = parse_instant("to", until)
    return start, end

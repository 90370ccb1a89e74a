"""``retry`` and ``redrive``: jobs that ended badly go on from their failed step."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

import exits
from cli import output
from cli.bulk import Yes, confirm, each, wanted_jobs
from cli.session import Session, run
from jobs import wording

if TYPE_CHECKING:
    from jobs.client import JobFilter, RedrivePreview, RedriveStatus

LOOK_INTERVAL_S: Final = 1.0


def retry(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the jobs.")],
    now: Annotated[
        bool, typer.Option("--now", help="Also make the attempt that an open job waits for.")
    ] = False,
) -> None:
    """Let jobs that ended badly go on from their failed step; what was finished stays."""

    async def command(session: Session) -> int:
        async def one(job_id: str) -> str:
            retried = await session.jobs.retry(job_id, now=now)
            return f"goes on {retried.how}"

        return await each(job_ids, one)

    raise typer.Exit(run(command))


def redrive(
    kind: Annotated[str | None, typer.Option(help="Only of that kind.")] = None,
    error: Annotated[str | None, typer.Option(help="Only failed with that error type.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only of that owner.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with that tag, K=V.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only submitted since: 2h, or an instant.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="Instead of failed and timed_out: cancelled, terminated.")
    ] = None,
    rps: Annotated[float | None, typer.Option(help="Jobs a second; as fast as it goes.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which, and where they would go on.")
    ] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until all go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let every failed job that a filter matches go on from its failed step."""

    async def command(session: Session) -> int:
        wanted = wanted_jobs(kind=kind, owner=owner, tag=tag, since=since, error=error, state=state)
        told = await session.jobs.preview_redrive(wanted)
        if dry_run:
            _show_preview(told, as_json=as_json)
            return exits.OK
        if not told.count:
            output.say("no such job has failed")
            return exits.OK
        if not yes:
            _show_preview(told, as_json=False)
        confirm(f"Redrive {told.count:,} jobs?", yes=yes)
        return await _redrive(session, wanted, rps, wait=wait, as_json=as_json)

    raise typer.Exit(run(command))


def _show_preview(told: "RedrivePreview", *, as_json: bool) -> None:
    if as_json:
        output.print_json(told)
        return
    rows = [
        *(("kind", name, count) for name, count in told.kinds.items()),
        *(("error", name, count) for name, count in told.errors.items()),
        *(("goes on", name, count) for name, count in told.begins.items()),
    ]
    if rows:
        output.print_rows(("", "", "JOBS"), rows)
    oldest = f", the oldest ended {wording.ago(told.oldest)}" if told.oldest else ""
    sampled = f"; {told.sampled:,} were asked where they go on" if told.sampled < told.count else ""
    output.say(f"{told.count:,} jobs would go on{oldest}{sampled}")


async def _redrive(
    session: Session, wanted: "JobFilter", rps: float | None, *, wait: bool, as_json: bool
) -> int:
    redrive = await session.jobs.redrive(wanted, rate=rps)
    if wait:
        redrive = await _follow(session, redrive)
    if as_json:
        output.print_json(redrive)
    else:
        output.print_facts(
            {
                "id": redrive.id,
                "state": redrive.state,
                "redriven": redrive.counts.redriven if wait else None,
                "skipped": redrive.counts.skipped or None,
                "failed": redrive.counts.failed or None,
                "outcomes": redrive.outcomes,
            }
        )
    if not wait:
        output.say(f"it goes on by itself: starter.py status {redrive.id}")
        return exits.OK
    well = redrive.state == "completed" and not redrive.counts.failed
    return exits.OK if well else exits.FAILED


async def _follow(session: Session, redrive: "RedriveStatus") -> "RedriveStatus":
    """Say how far it is whenever that changes, and return it at its end."""
    seen = redrive.counts
    while not redrive.state.final:
        await asyncio.sleep(LOOK_INTERVAL_S)
        redrive = await session.jobs.redrive_status(redrive.id)
        if redrive.counts != seen and not redrive.state.final:
            seen = redrive.counts
            output.say(f"{seen.done:,} of {seen.total:,}")
    return redrive

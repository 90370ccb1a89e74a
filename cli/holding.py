"""``hold`` and ``release``: let jobs wait, and go on."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from cli import exits, output
from cli.session import Session, run


def hold(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the jobs.")],
    reason: Annotated[str, typer.Option(help="Why; shown wherever the job is.")],
) -> None:
    """Let jobs begin no further step until they are released; a running step goes on."""

    async def command(session: Session) -> int:
        async def one(job_id: str) -> str:
            job = await session.jobs.hold(job_id, reason)
            return "held" if job.state == "held" else "will be held before its next step"

        return await each(job_ids, one)

    raise typer.Exit(run(command))


def release(
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Ids of held jobs.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="All held of that kind.")] = None,
    error: Annotated[str | None, typer.Option(help="All held by that type of error.")] = None,
    owner: Annotated[str | None, typer.Option(help="All held of that owner.")] = None,
    tag: Annotated[str | None, typer.Option(help="All held with that tag, K=V.")] = None,
    since: Annotated[str | None, typer.Option(help="All held, submitted since: 2h.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let held jobs go on, by id or all that a filter matches."""

    async def by_id(session: Session) -> int:
        async def one(job_id: str) -> str:
            await session.jobs.release(job_id)
            return "released"

        return await each(job_ids or [], one)

    async def by_filter(session: Session) -> int:
        from cli.parsing import parse_pair, parse_since
        from jobs.client import JobFilter

        wanted = JobFilter(
            kind=kind,
            owner=owner,
            error=error,
            tag=parse_pair("tag", tag) if tag else None,
            since=parse_since("since", since) if since else None,
        )
        released = await session.jobs.release_matching(wanted, dry_run=True)
        if released.count and not dry_run:
            if not yes:
                typer.confirm(f"Release {released.count:,} jobs?", abort=True, err=True)
            released = await session.jobs.release_matching(wanted)
        if as_json:
            output.print_json(released)
            return exits.OK
        rows = [(name or "by a person", count) for name, count in released.errors.items()]
        output.print_rows(("HELD BY", "JOBS"), rows)
        done = "would be released" if dry_run else "released"
        output.say(f"{released.count:,} jobs {done}" if released.count else "no such job is held")
        return exits.OK

    filters = [option for option in (kind, error, owner, tag, since) if option is not None]
    if job_ids and filters:
        raise typer.BadParameter("name jobs or a filter, not both")
    raise typer.Exit(run(by_id if job_ids else by_filter))


async def each(job_ids: Sequence[str], act: Callable[[str], Awaitable[str]]) -> int:
    """Do something to each job and say what came of it; return the worst exit code."""
    from jobs.errors import ConveyorError

    worst = exits.OK
    for job_id in job_ids:
        try:
            output.say(f"{job_id}: {await act(job_id)}")
        except ConveyorError as error:
            output.say(f"error: {error}")
            worst = max(worst, exits.code_for(error))
    return worst

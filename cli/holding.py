"""``hold`` and ``release``: let jobs wait, and go on."""

from typing import Annotated

import typer

import exits
from cli import output
from cli.bulk import DryRun, Yes, by_id_or_filter, each, to_matching, wanted_jobs
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
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let held jobs go on, by id or all that a filter matches."""

    async def by_id(session: Session) -> int:
        async def one(job_id: str) -> str:
            await session.jobs.release(job_id)
            return "released"

        return await each(job_ids or [], one)

    async def by_filter(session: Session) -> int:
        wanted = wanted_jobs(kind=kind, owner=owner, tag=tag, since=since, error=error)
        released = await to_matching(
            lambda only_look: session.jobs.release_matching(wanted, dry_run=only_look),
            verb="Release",
            dry_run=dry_run,
            yes=yes,
        )
        if as_json:
            output.print_json(released)
            return exits.OK
        rows = [(name or "by a person", count) for name, count in released.errors.items()]
        output.print_rows(("HELD BY", "JOBS"), rows)
        done = "would be released" if dry_run else "released"
        output.say(f"{released.count:,} jobs {done}" if released.count else "no such job is held")
        return exits.OK

    by_id_or_filter(job_ids, kind, error, owner, tag, since)
    raise typer.Exit(run(by_id if job_ids else by_filter))

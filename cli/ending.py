"""``cancel``, ``terminate`` and ``delete``: jobs that are wanted no more."""

from typing import Annotated

import typer

from cli import exits, output
from cli.session import Session, run

JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the jobs.")]


def cancel(
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Ids of the jobs.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have ended.")] = False,
    kind: Annotated[str | None, typer.Option(help="All open ones of that kind.")] = None,
    owner: Annotated[str | None, typer.Option(help="All open ones of that owner.")] = None,
    tag: Annotated[str | None, typer.Option(help="All open ones with that tag, K=V.")] = None,
    since: Annotated[
        str | None, typer.Option(help="All open ones submitted since: 2h, or an instant.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Ask jobs to stop, by id or all that a filter matches; they clean up and end as cancelled."""

    async def by_id(session: Session) -> int:
        from cli.holding import each

        async def one(job_id: str) -> str:
            await session.jobs.cancel(job_id)
            job = await (session.jobs.wait(job_id) if wait else session.jobs.status(job_id))
            return f"ended as {job.state}" if job.state.final else "asked to stop"

        return await each(job_ids or [], one)

    async def by_filter(session: Session) -> int:
        from cli.parsing import parse_pair, parse_since
        from jobs.client import JobFilter

        wanted = JobFilter(
            kind=kind,
            owner=owner,
            tag=parse_pair("tag", tag) if tag else None,
            since=parse_since("since", since) if since else None,
        )
        found = await session.jobs.cancel_matching(wanted, dry_run=True)
        if found.count and not dry_run:
            if not yes:
                typer.confirm(f"Cancel {found.count:,} jobs?", abort=True, err=True)
            found = await session.jobs.cancel_matching(wanted)
        output.print_rows(("KIND", "JOBS"), list(found.kinds.items()))
        done = "would be asked to stop" if dry_run else "asked to stop"
        output.say(f"{found.count:,} jobs {done}" if found.count else "no such job is open")
        return exits.OK

    filters = [option for option in (kind, owner, tag, since) if option is not None]
    if job_ids and filters:
        raise typer.BadParameter("name jobs or a filter, not both")
    if wait and not job_ids:
        raise typer.BadParameter("--wait needs the ids of the jobs")
    raise typer.Exit(run(by_id if job_ids else by_filter))


def terminate(
    job_ids: JobIds,
    reason: Annotated[
        str, typer.Option(help="Why; shown in the job's log.")
    ] = "by starter.py terminate",
) -> None:
    """End jobs at once, also such as hang; they can't clean up, so `cancel` is better."""

    async def command(session: Session) -> int:
        from cli.holding import each

        async def one(job_id: str) -> str:
            await session.jobs.terminate(job_id, reason)
            return "ended as terminated"

        return await each(job_ids, one)

    raise typer.Exit(run(command))


def delete(
    job_ids: JobIds,
    results: Annotated[
        bool, typer.Option("--results", help="Also the files that the jobs were asked for.")
    ] = False,
) -> None:
    """Forget jobs that have ended: history, input, log, files between steps, ledgers."""

    async def command(session: Session) -> int:
        from cli.holding import each
        from opening import open_traces

        async with open_traces(session.settings) as traces:

            async def one(job_id: str) -> str:
                erased = await session.jobs.delete(job_id, traces, results=results)
                if not erased.files and not erased.rows:
                    return "deleted"
                files = f"{erased.files:,} stored files ({erased.bytes:,} bytes)"
                return f"deleted, and with it {files} and {erased.rows:,} ledger rows"

            return await each(job_ids, one)

    raise typer.Exit(run(command))

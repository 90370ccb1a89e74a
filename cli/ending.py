"""``cancel``, ``terminate`` and ``delete``: jobs that are wanted no more."""

from typing import Annotated

import typer

import exits
from cli import output
from cli.bulk import DryRun, Yes, by_id_or_filter, each, to_matching, wanted_jobs
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
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Ask jobs to stop, by id or all that a filter matches; they clean up and end as cancelled."""

    async def by_id(session: Session) -> int:
        async def one(job_id: str) -> str:
            await session.jobs.cancel(job_id)
            job = await (session.jobs.wait(job_id) if wait else session.jobs.status(job_id))
            return f"ended as {job.state}" if job.state.final else "asked to stop"

        return await each(job_ids or [], one)

    async def by_filter(session: Session) -> int:
        wanted = wanted_jobs(kind=kind, owner=owner, tag=tag, since=since)
        found = await to_matching(
            lambda only_look: session.jobs.cancel_matching(wanted, dry_run=only_look),
            verb="Cancel",
            dry_run=dry_run,
            yes=yes,
        )
        output.print_rows(("KIND", "JOBS"), list(found.kinds.items()))
        done = "would be asked to stop" if dry_run else "asked to stop"
        output.say(f"{found.count:,} jobs {done}" if found.count else "no such job is open")
        return exits.OK

    by_id_or_filter(job_ids, kind, owner, tag, since)
    if wait and not job_ids:
        raise typer.BadParameter("--wait needs the ids of the jobs")
    raise typer.Exit(run(by_id if job_ids else by_filter))


def terminate(
    job_ids: JobIds,
    reason: Annotated[
        str, typer.Option(help="Why; shown in the job's log.")
    ] = "by starter.py terminate",
) -> None:
    """End jobs at once, also those that hang; they can't clean up, so `cancel` is better."""

    async def command(session: Session) -> int:
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

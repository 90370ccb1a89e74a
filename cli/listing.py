"""Looking at many jobs: ``list`` and ``stats``."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from cli import output
from cli.bulk import wanted_jobs
from cli.session import Session, run
from jobs import wording

COLUMNS: Final = ("ID", "KIND", "STATE", "PROGRESS", "ATTEMPTS", "SUBMITTED", "ERROR")
COUNTED: Final = ("kind", "state", "error", "count", "first_at", "last_at", "example")
GROUPS: Final = ("kind", "state", "error")
REFRESH_S: Final = 2.0


def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Only that kind.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in that state.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only of that owner.")] = None,
    error: Annotated[str | None, typer.Option(help="Only failed with that error type.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with that tag, K=V.")] = None,
    since: Annotated[str | None, typer.Option(help="Submitted since: 2h, or an instant.")] = None,
    limit: Annotated[int, typer.Option(help="Most jobs to show, up to 1000.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last list ended.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON document a job.")] = False,
) -> None:
    """List jobs, newest first."""

    async def command(session: Session) -> None:
        wanted = wanted_jobs(kind=kind, owner=owner, tag=tag, since=since, error=error, state=state)
        page = await session.jobs.list(wanted, limit=limit, cursor=cursor)
        if as_json:
            output.print_json(page)
            return
        if as_jsonl:
            for job in page.jobs:
                output.print_json_line(job)
        else:
            output.print_rows(COLUMNS, [_row(job) for job in page.jobs])
            _say_errors(page.jobs)
        if page.next_cursor:
            output.say(f"more: --cursor {page.next_cursor}")
        elif not page.jobs:
            output.say("no such job")

    run(command)


def _say_errors(jobs: Sequence[Any]) -> None:
    """Say what failed how often, where there is more than one of a kind."""
    errors = Counter(job.error.type for job in jobs if job.error and job.state == "failed")
    if errors.total() > 1:
        told = ", ".join(f"{number} {error}" for error, number in errors.most_common())
        output.say(f"failed: {told}; all there are: starter.py stats --by error")


def _row(job: Any) -> tuple[object, ...]:
    percent = f"{job.progress.percent:.0f} %" if job.progress.percent is not None else ""
    error = job.error.type if job.error else (job.held_because or "")
    attempts = job.attempts or ""
    return (job.id, job.kind, job.state, percent, attempts, wording.ago(job.created_at), error)


def stats(
    by: Annotated[str, typer.Option(help="kind, state or error.")] = "kind",
    owner: Annotated[str | None, typer.Option(help="Only of that owner.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count jobs by kind, state or type of error."""
    from jobs.errors import InvalidInputError, Problem

    if by not in GROUPS:
        raise InvalidInputError([Problem("by", f"{by!r}: use {', '.join(GROUPS)}")])

    async def command(session: Session) -> None:
        while True:
            counts = await session.jobs.count(by, owner=owner)
            if watch and not as_json:
                output.console().clear()
            if as_json:
                output.print_json([count.model_dump(exclude_none=True) for count in counts])
            elif not counts:
                output.say("no job has failed" if by == "error" else "no jobs")
            else:
                shown = [
                    column
                    for column in COUNTED
                    if any(getattr(count, column) is not None for count in counts)
                ]
                rows = [[_cell(getattr(count, column)) for column in shown] for count in counts]
                output.print_rows([column.upper().removesuffix("_AT") for column in shown], rows)
            if not watch:
                return
            await asyncio.sleep(REFRESH_S)

    run(command)


def _cell(value: Any) -> object:
    return wording.ago(value) if isinstance(value, datetime) else value

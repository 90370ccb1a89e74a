"""``starter.py prune``: forget now what is past its retention, or only tell."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.session import Session, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.pruning import Pruned, StoredResult
    from jobs.traces import Erased


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go, each result by name.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Don't ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Forget closed jobs, old rows and old results; a schedule does the same each hour."""

    async def look(session: Session) -> "tuple[Pruned, Sequence[StoredResult]]":
        from datetime import UTC, datetime

        from equipment import open_pruning

        async with open_pruning(session.settings, session.jobs.temporal) as pruning:
            return await pruning.preview(datetime.now(UTC))

    async def forget(session: Session) -> "Pruned":
        from uuid import uuid4

        from jobs.client.pruning import prune_now
        from jobs.pruning import PRUNE_NOW

        prune_id = f"{PRUNE_NOW}-{uuid4().hex[:12]}"
        output.say(f"{prune_id} deletes; it goes on without this terminal, if a worker lives")
        return await prune_now(session.jobs.temporal, prune_id)

    if dry_run or not yes:
        pruned, results = run(look)
        if as_json:
            output.print_json({"pruned": pruned, "results": results})
        else:
            for result in results:
                output.say(f"result of {result.job_id}: {_files(result.erased)}")
            _tell(pruned)
        if dry_run:
            output.say("nothing was deleted (--dry-run)")
            return
        typer.confirm("Delete all that?", abort=True, err=True)
    pruned = run(forget)
    if as_json:
        output.print_json(pruned)
    else:
        _tell(pruned)
        output.say("deleted")


def _tell(pruned: "Pruned") -> None:
    rows: list[tuple[object, ...]] = [
        (f"{told.kind} jobs, {told.outcome}", told.jobs, "") for told in pruned.jobs
    ]
    rows.append(("files between steps", pruned.traces.files, f"{pruned.traces.bytes:,} bytes"))
    rows.append(("rows of ledgers", pruned.rows + pruned.traces.rows, ""))
    rows.append(("jobs' results", pruned.results, _files(pruned.result_traces)))
    output.print_rows(("WHAT", "COUNT", ""), rows)


def _files(erased: "Erased") -> str:
    return f"{erased.files} files, {erased.bytes:,} bytes"

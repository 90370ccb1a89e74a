"""``starter.py items``: what became of each item of a batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import output
from cli.session import Session, run

if TYPE_CHECKING:
    from jobs.batches import ItemState, ItemView

COLUMNS: Final = ("INDEX", "STATE", "JOB", "ERROR", "RESULT")


def items(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the batch.")],
    index: Annotated[
        int | None, typer.Option(help="Only the item at this place in the list, from 0.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only these: completed, failed, cancelled, running, waiting."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Short for --state failed.")] = False,
    after: Annotated[int, typer.Option(help="Only those behind this place.")] = -1,
    limit: Annotated[int, typer.Option(help="So many at most, up to 1,000.")] = 50,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON document a line.")
    ] = False,
) -> None:
    """List the items of a batch that have begun, or show one.

    All of them, in one file: `result ID --out FILE`.
    """

    async def command(session: Session) -> "Sequence[ItemView]":
        from adapters.database.batches import BatchLedger
        from jobs.client.batches import BatchDesk
        from opening import open_database, require_migrations

        wanted = _states([*(state or ()), *(("failed",) if failed else ())])
        await require_migrations(session.settings)
        database = open_database(session.settings)
        try:
            desk = BatchDesk(session.jobs.temporal, BatchLedger(database))
            if index is not None:
                return [await desk.item(job_id, index)]
            return await desk.items(job_id, states=wanted, after=after, limit=limit)
        finally:
            await database.close()

    found = run(command)
    if as_jsonl:
        for item in found:
            output.print_json_line(item.model_dump(mode="json", exclude_none=True))
        return
    output.print_rows(COLUMNS, [_row(item) for item in found])
    if index is None and len(found) == limit:
        output.say(f"perhaps more: --after {found[-1].index}")


def _row(item: "ItemView") -> tuple[object, ...]:
    error = ": ".join(part for part in (item.error_type, item.error_message) if part)
    result = output.compact(item.result) if item.result else None
    return item.index, item.state, item.job_id, error, result


def _states(names: Sequence[str]) -> "list[ItemState]":
    from jobs.batches import ItemState
    from jobs.errors import InvalidInputError, Problem

    try:
        return [ItemState(name) for name in names]
    except ValueError:
        known = ", ".join(ItemState)
        raise InvalidInputError([Problem("state", f"{names[-1]!r}: use {known}")]) from None

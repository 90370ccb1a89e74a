"""``starter.py receive``: the door for inbound webhooks, from files; and ``inbound``, its book."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

import typer

import exits
from cli import output
from cli.session import session
from jobs import wording

if TYPE_CHECKING:
    from adapters.database.webhooks.inbound import InboundEvents
    from jobs.webhooks import InboundRecord
    from jobs.webhooks.door import InboundDoor

T = TypeVar("T")

ACCEPTED: Final = range(200, 300)
UNKNOWN_SOURCE: Final = 404
UNAVAILABLE: Final = 503
COLUMNS: Final = ("SOURCE", "EVENT", "TYPE", "STATE", "ATTEMPTS", "RECEIVED", "ERROR")

app = typer.Typer(no_args_is_help=True, help="Events that came in: look, replay, discard.")

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Name from CONVEYOR_WEBHOOK_SOURCES.")
]
EventId = Annotated[str, typer.Argument(metavar="EVENT", help="The sender's id of the event.")]


class Hall(NamedTuple):
    """The door, and the book of what came through it."""

    door: "InboundDoor"
    events: "InboundEvents"


@asynccontextmanager
async def hall() -> AsyncIterator[Hall]:
    """Open the door; also while Temporal is away, since events are stored first."""
    import settings as environment
    from adapters.database.webhooks.inbound import InboundEvents
    from jobs.errors import ServerUnreachableError
    from opening import open_database, open_inbound_door, open_storage, require_migrations

    settings = environment.load()
    await require_migrations(settings)
    async with AsyncExitStack() as stack:
        database = open_database(settings)
        stack.push_async_callback(database.close)
        try:
            temporal = (await stack.enter_async_context(session())).jobs.temporal
        except ServerUnreachableError:
            temporal = None
        door = open_inbound_door(settings, database, open_storage(settings), temporal)
        yield Hall(door, InboundEvents(database))


def in_hall(command: Callable[[Hall], Awaitable[T]]) -> T:
    """Run ``command`` with the door open."""

    async def inner() -> T:
        async with hall() as opened:
            return await command(opened)

    return asyncio.run(inner())


def receive(
    source: Source,
    headers: Annotated[Path, typer.Option(help="File with a `Name: value` a line.", exists=True)],
    body: Annotated[Path, typer.Option(help="File with the body's bytes.", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Take in a webhook as the HTTP API does: verify, store, start its job.

    Ends 0 when it was accepted or known before, 2 when it was refused, 3 for an unknown source.
    """
    pairs = read_headers(headers.read_text())
    receipt = in_hall(lambda opened: opened.door.receive(source, pairs, body.read_bytes()))
    if as_json:
        output.print_json({"status": receipt.status, **receipt.body})
    else:
        output.print_facts(
            {
                "status": receipt.status,
                "event": receipt.id,
                "duplicate": "yes" if receipt.duplicate else None,
                "refused": receipt.refusal,
                "challenge": receipt.challenge,
            }
        )
    if receipt.status == UNKNOWN_SOURCE:
        raise typer.Exit(exits.NOT_FOUND)
    if receipt.status == UNAVAILABLE:
        raise typer.Exit(exits.UNREACHABLE)
    if receipt.status not in ACCEPTED:
        raise typer.Exit(exits.INVALID)


def read_headers(text: str) -> list[tuple[str, str]]:
    """Return the headers in ``text``; raises ``InvalidInputError`` for a line that is none."""
    from jobs.errors import InvalidInputError, Problem

    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            problem = Problem("headers", f"line {number}: write `Name: value`")
            raise InvalidInputError([problem])
        pairs.append((name.strip(), value.strip()))
    return pairs


@app.command("list")
def list_inbound(
    source: Annotated[str | None, typer.Option(help="Only of that source.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in that state, such as dead.")] = None,
    limit: Annotated[int, typer.Option(help="Most events to show.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List events that came in, newest first; they are kept 30 days."""
    from jobs.errors import InvalidInputError, Problem
    from jobs.validation import nearest
    from jobs.webhooks import InboundState

    if state is not None and state not in set(InboundState):
        known = nearest(state, list(InboundState))
        raise InvalidInputError([Problem("state", f"no state {state!r}; {known}")])
    wanted = InboundState(state) if state else None
    found = in_hall(lambda opened: opened.events.list(source=source, state=wanted, limit=limit))
    if as_json:
        output.print_json([record.model_dump(mode="json") for record in found])
        return
    output.print_rows(COLUMNS, [_row(record) for record in found])
    if not found:
        output.say("no such event")


@app.command()
def replay(source: Source, event_id: EventId) -> None:
    """Handle a dead letter again."""
    _leave_death(in_hall(lambda opened: opened.door.replay(source, event_id)), event_id)
    output.say(f"{event_id} is handled again")


@app.command()
def discard(source: Source, event_id: EventId) -> None:
    """Decide that a dead letter is not handled."""
    _leave_death(in_hall(lambda opened: opened.door.discard(source, event_id)), event_id)
    output.say(f"{event_id} is discarded")


def _leave_death(done: bool, event_id: str) -> None:
    if not done:
        output.say(f"error: no dead letter {event_id!r}; `starter.py inbound list --state dead`")
        raise typer.Exit(exits.NOT_FOUND)


def _row(record: "InboundRecord") -> tuple[object, ...]:
    return (
        record.source,
        record.event_id,
        record.type,
        record.state,
        record.attempts,
        wording.ago(record.received_at),
        record.last_error,
    )

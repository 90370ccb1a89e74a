"""``starter.py keys``: who may use the HTTP API."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

import exits
from cli import output
from jobs import wording

if TYPE_CHECKING:
    from adapters.database.access import ApiKeys
    from jobs.access import ApiKey, Scope

T = TypeVar("T")

COLUMNS: Final = ("KEY", "OWNER", "SCOPES", "LABEL", "CREATED", "LAST USED", "STATE")

app = typer.Typer(no_args_is_help=True, help="Keys of the HTTP API: create, list, revoke.")


def with_keys(command: "Callable[[ApiKeys], Awaitable[T]]") -> T:
    """Run ``command`` with the book of keys open; Temporal is not needed."""

    async def inner() -> T:
        import settings as environment
        from adapters.database.access import ApiKeys
        from opening import open_database, require_migrations

        settings = environment.load()
        await require_migrations(settings)
        database = open_database(settings)
        try:
            return await command(ApiKeys(database))
        finally:
            await database.close()

    return asyncio.run(inner())


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose jobs it opens.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="jobs:read, jobs:write (the default) or jobs:admin; each has the last."),
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for, to tell it from others.")] = "",
    expires: Annotated[
        str | None, typer.Option(help="After so long, such as 90d. Default: never.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a key and print it: it is shown this once, and only its hash is kept."""
    from datetime import UTC, datetime

    from jobs.access import ApiKey, Token, check_owner, token_hash
    from jobs.times import parse_duration

    check_owner(owner)
    token = Token.new()
    now = datetime.now(UTC)
    key = ApiKey(
        id=token.id,
        owner=owner,
        scopes=[_scope(text) for text in scope or ["jobs:write"]],
        label=label,
        created_at=now,
        expires_at=now + parse_duration("expires", expires) if expires else None,
    )
    with_keys(lambda keys: keys.add(key, token_hash(token.text)))
    if as_json:
        output.print_json({**key.model_dump(mode="json"), "key": token.text})
        return
    sys.stdout.write(f"{token.text}\n")
    output.say(f"key {key.id} of {owner}: keep it now, it is not shown again")


@app.command("list")
def list_keys(
    owner: Annotated[str | None, typer.Option(help="Only of that owner.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the keys, newest first; none is shown itself."""
    found = with_keys(lambda keys: keys.list(owner))
    if as_json:
        output.print_json([key.model_dump(mode="json") for key in found])
        return
    output.print_rows(COLUMNS, [_row(key) for key in found])
    if not found:
        output.say("no keys; `starter.py keys create --owner OWNER` makes one")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")]) -> None:
    """End a key for good; a serving API takes it for at most five seconds more."""
    from datetime import UTC, datetime

    from jobs.access import key_id_of

    named = key_id_of(key_id) or key_id  # also from the key itself, which someone may have found
    if not with_keys(lambda keys: keys.revoke(named, datetime.now(UTC))):
        output.say(f"error: no key {named!r}; `starter.py keys list` shows those there are")
        raise typer.Exit(exits.NOT_FOUND)
    output.say(f"key {named} is revoked")


def _scope(text: str) -> "Scope":
    from jobs.access import Scope
    from jobs.errors import InvalidInputError, Problem
    from jobs.validation import nearest

    if text not in set(Scope):
        raise InvalidInputError(
            [Problem("scope", f"no scope {text!r}; {nearest(text, list(Scope))}")]
        )
    return Scope(text)


def _row(key: "ApiKey") -> tuple[object, ...]:
    from datetime import UTC, datetime

    state = "revoked" if key.revoked_at else "good" if key.usable(datetime.now(UTC)) else "expired"
    scopes = " ".join(key.scopes)
    created, used = wording.ago(key.created_at), wording.ago(key.last_used_at)
    return (key.id, key.owner, scopes, key.label, created, used, state)

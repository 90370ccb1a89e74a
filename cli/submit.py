"""``starter.py submit``: one job, or a file of them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

import exits
from cli import output
from cli.session import Session, run

if TYPE_CHECKING:
    from jobs.client import Submission

BULK_AT_ONCE: Final = 16
"""Submissions under way together; more only waits longer for each answer."""


def submit(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of job; `kinds` lists them.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FIELD=VALUE | FIELD:=JSON ...]",
            help="The input: `data.name=Ada`, `width:=800`, `source=@photo.jpg` uploads a file, "
            "`operations:=@list.json` reads JSON.",
            show_default=False,
        ),
    ] = None,
    document: Annotated[
        str | None, typer.Option("--input", help="JSON file with the input; - reads it here.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--id", help="Makes it safe to submit again: the job id is KIND-ID."),
    ] = None,
    on_conflict: Annotated[
        str, typer.Option(help="If the id is there: existing, error or replace.")
    ] = "existing",
    priority: Annotated[int, typer.Option(help="1 (first) to 5.")] = 3,
    owner: Annotated[
        str | None, typer.Option(help="Who may see it.", envvar="CONVEYOR_OWNER")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="K=V, as often as you like.")] = None,
    delay: Annotated[str | None, typer.Option(help="Begin later: 10m, 2h, 1d.")] = None,
    at: Annotated[str | None, typer.Option(help="Begin then: 2027-01-31T09:00:00+01:00.")] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Longest run time, instead of the kind's own.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait, and show progress.")] = False,
    timeout: Annotated[str | None, typer.Option(help="Longest time to wait or watch, 5m.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job object.")] = False,
    bulk: Annotated[
        str | None,
        typer.Option(help="JSON Lines file with an input a line; - reads it here."),
    ] = None,
) -> None:
    """Submit a job and print its id.

    Submitting the same id with the same input again returns the job that is there.
    """
    from jobs.client import OnConflict, Submission
    from jobs.times import parse_duration, parse_instant

    options = Submission(
        key=key,
        on_conflict=_choice(OnConflict, on_conflict),
        priority=priority,
        owner=owner,
        tags=_tags(tag or []),
        delay=parse_duration("delay", delay) if delay else None,
        run_at=parse_instant("at", at) if at else None,
        deadline=parse_duration("deadline", deadline) if deadline else None,
    )
    if bulk is not None:
        _refuse_with_bulk(fields=fields, document=document, wait=wait, watch=watch)
        failed = run(lambda session: _submit_bulk(session, kind, bulk, options))
        if failed:
            raise typer.Exit(exits.INVALID)
        return

    within = parse_duration("timeout", timeout) if timeout else None

    async def command(session: Session) -> int:
        from cli.fields import read_input
        from cli.following import follow_to_end
        from jobs import kinds

        job_kind = kinds.find(kind)
        for problem in options.problems():
            output.say(f"error: {problem}")
        if options.problems():
            return exits.INVALID
        data = await read_input(job_kind.input, fields or [], document, session.storage())
        job = await session.jobs.submit(kind, data, options)
        if not job.created:
            output.say(f"{job.id} exists already, with the same input: it is {job.state}")
        if wait or watch:
            if not as_json:
                output.say(job.id)
            return await follow_to_end(
                session.jobs, job, watch=watch, within=within, as_json=as_json
            )
        if as_json:
            output.print_json(job)
        else:
            sys.stdout.write(f"{job.id}\n")
        return exits.OK

    raise typer.Exit(run(command))


async def _submit_bulk(session: Session, kind: str, path: str, options: "Submission") -> int:
    """Submit each line, print an answer for each in order, and return how many were refused."""
    from jobs.errors import ConveyorError

    async def one(number: int, line: str) -> dict[str, Any]:
        try:
            job = await session.jobs.submit(kind, _line(line), _options_of_line(options, number))
        except ConveyorError as error:
            return {"line": number, "error": str(error)}
        return {"line": number, "id": job.id, "created": job.created}

    refused = count = 0
    async for answer in _in_order(one, _lines(path)):
        count += 1
        refused += "error" in answer
        output.print_json_line(answer)
    output.say(
        f"{count - refused} of {count} submitted" + (f", {refused} refused" if refused else "")
    )
    return refused


async def _in_order(one: Any, lines: Iterator[tuple[int, str]]) -> AsyncIterator[dict[str, Any]]:
    """Yield the answers in the order of the lines, some under way at once."""
    pending: list[asyncio.Task[dict[str, Any]]] = []
    for number, line in lines:
        pending.append(asyncio.create_task(one(number, line)))
        if len(pending) >= BULK_AT_ONCE:
            yield await pending.pop(0)
    while pending:
        yield await pending.pop(0)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    from jobs.errors import InvalidInputError, Problem

    try:
        stream = sys.stdin if path == "-" else Path(path).open()  # noqa: SIM115 (stdin has none)
    except OSError as error:
        problem = Problem("bulk", f"{path} can't be read: {error.strerror}")
        raise InvalidInputError([problem]) from None
    with stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line


def _line(line: str) -> dict[str, Any]:
    from jobs.errors import InvalidInputError, Problem

    try:
        data = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInputError([Problem("", f"is no JSON: {error}")]) from None
    if not isinstance(data, dict):
        raise InvalidInputError([Problem("", "must be one JSON object a line")])
    return data


def _options_of_line(options: "Submission", number: int) -> "Submission":
    """Give each line an id of its own, so that the whole file is safe to submit again."""
    from dataclasses import replace

    return replace(options, key=f"{options.key}-{number}") if options.key else options


def _refuse_with_bulk(**others: object) -> None:
    from jobs.errors import InvalidInputError, Problem

    names = {"document": "--input", "fields": "FIELD=VALUE"}
    if given := [names.get(name, f"--{name}") for name, value in others.items() if value]:
        problem = Problem("bulk", f"goes without {', '.join(given)}: each line is one input")
        raise InvalidInputError([problem])


def _choice(options: Any, text: str) -> Any:
    from jobs.errors import InvalidInputError, Problem

    try:
        return options(text)
    except ValueError:
        problem = Problem("on-conflict", f"{text!r}: use {', '.join(options)}")
        raise InvalidInputError([problem]) from None


def _tags(texts: list[str]) -> dict[str, str]:
    from jobs.errors import InvalidInputError, Problem

    pairs = [text.partition("=") for text in texts]
    if bad := [name for name, equals, _ in pairs if not equals]:
        raise InvalidInputError([Problem("tag", f"{bad[0]!r}: write K=V")])
    return {name: value for name, _, value in pairs}

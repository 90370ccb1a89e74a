"""The queues: ``queues``, ``limits``, ``pause`` and ``resume``."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import output
from cli.session import Session, run
from jobs import wording

if TYPE_CHECKING:
    from jobs.client.queues import QueueStatus

COLUMNS: Final = ("QUEUE", "WAITING", "OLDEST", "WORKERS", "SLOTS", "LIMIT", "STATE")
LIMIT_COLUMNS: Final = ("QUEUE", "LIMIT", "REASON", "BY", "STATE")
REFRESH_S: Final = 2.0

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="A queue, as `queues` names it.")]
Reason = Annotated[str, typer.Option(help="Why; shown wherever the queue is.")]
By = Annotated[str | None, typer.Option(help="Who says so. Default: your user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

limits_app = typer.Typer(
    no_args_is_help=True, help="How many steps a queue may start, over all workers."
)


def queues(
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show each queue: what waits and how long, workers, slots, limit, pause."""

    async def command(session: Session) -> None:
        from jobs.client.queues import queue_statuses

        while True:
            statuses = await queue_statuses(session.jobs.temporal)
            if as_json and watch:
                output.print_json_line({"queues": statuses})
            elif as_json:
                output.print_json({"queues": statuses})
            else:
                if watch:
                    output.console().clear()
                output.print_rows(COLUMNS, [_row(status) for status in statuses])
            if not watch:
                return
            await asyncio.sleep(REFRESH_S)

    run(command)


def _row(status: "QueueStatus") -> tuple[object, ...]:
    from jobs.limits import rate_words

    oldest = status.oldest_seconds
    return (
        status.name,
        status.waiting,
        wording.duration(oldest) if oldest is not None else "",
        status.pollers,
        status.slots,
        rate_words(status.rate) if status.rate is not None else "",
        _state(status),
    )


def _state(status: "QueueStatus") -> str:
    if status.paused:
        end = f", ends {wording.ago(status.until)}" if status.until else ""
        return f"paused by {status.author}: {status.reason}{end}"
    return "" if status.pollers else "no worker"


@limits_app.command("show")
def show_limits(as_json: AsJson = False) -> None:
    """Show each queue's limit, why it is there and who set it."""

    async def command(session: Session) -> None:
        from jobs.client.queues import queue_statuses
        from jobs.limits import rate_words

        statuses = await queue_statuses(session.jobs.temporal)
        if as_json:
            output.print_json({"queues": statuses})
            return
        output.print_rows(
            LIMIT_COLUMNS,
            [
                (
                    status.name,
                    rate_words(status.rate),
                    "" if status.paused else status.reason,
                    "" if status.paused else status.author,
                    _state(status),
                )
                for status in statuses
            ],
        )

    run(command)


@limits_app.command("set")
def set_limit(
    queue: Name,
    rate: Annotated[str, typer.Option(help="10/m, 5/s, 100/h; none is unlimited.")],
    reason: Reason,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a queue start only so many steps, over all workers, at once and until another is set."""

    async def command(session: Session) -> None:
        from jobs.client.limits import set_rate
        from jobs.client.queues import find_queue
        from jobs.limits import rate_words

        status = await set_rate(
            session.jobs.temporal,
            find_queue(queue),
            _rate(rate),
            reason=reason,
            author=_author(by),
        )
        when = " when it is resumed" if status.paused else ""
        _tell(status, f"{queue}: {rate_words(status.rate)}{when}", as_json=as_json)

    run(command)


def pause(
    queue: Name,
    reason: Reason,
    lasts: Annotated[
        str | None, typer.Option("--for", help="End it after that time: 30m, 2h.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Start no step of a queue; those that run go on, and jobs can be submitted and cancelled."""

    async def command(session: Session) -> None:
        from jobs.client import limits
        from jobs.client.queues import find_queue
        from jobs.times import parse_duration

        status = await limits.pause(
            session.jobs.temporal,
            find_queue(queue),
            reason=reason,
            author=_author(by),
            lasts=parse_duration("for", lasts) if lasts else None,
        )
        end = wording.ago(status.until) if status.until else f"with `starter.py resume {queue}`"
        _tell(status, f"{queue} is paused; it goes on {end}", as_json=as_json)

    run(command)


def resume(queue: Name, as_json: AsJson = False) -> None:
    """Start steps of a paused queue again, under the limit that it had."""

    async def command(session: Session) -> None:
        from jobs.client import limits
        from jobs.client.queues import find_queue
        from jobs.limits import rate_words

        status = await limits.resume(session.jobs.temporal, find_queue(queue))
        _tell(status, f"{queue} goes on: {rate_words(status.rate)}", as_json=as_json)

    run(command)


def _tell(status: "QueueStatus", words: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json(status)
    else:
        output.say(words)


def _rate(text: str) -> float | None:
    from jobs.errors import InvalidInputError, Problem
    from jobs.limits import parse_rate

    if text == "none":
        return None
    try:
        rate: float = parse_rate(text)
    except ValueError as error:
        raise InvalidInputError([Problem("rate", f"{text!r}: {error}, or none")]) from None
    return rate


def _author(by: str | None) -> str:
    import getpass

    from jobs.errors import InvalidInputError, Problem

    try:
        return by if by is not None else getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        raise InvalidInputError([Problem("by", "say who you are: --by NAME")]) from None
